package target

// Judge is a driver that knows more about settings than their schema can say. It asks no
// machine and reads no file.
type Judge interface {
	Driver
	// Judge reports what is wrong with the settings of t, which their schema allows: a
	// Misfit, where it can say which setting it is.
	Judge(t Target) error
}

// Misfit is a setting that does not fit the others.
type Misfit struct {
	Path string // of the setting: "nodes/min"
	What string // is wrong with it
	Cure string
}

func (m Misfit) Error() string { return m.What + ": " + m.Cure }

// Fitter is a driver that knows how much one job may ask for. It asks no machine.
type Fitter interface {
	Driver
	// Fits reports why t can never give a job what it needs on each of its nodes, or nil: a
	// Misfit whose path is that of the requirement, such as "gpus". How many nodes there may be
	// is said by Can.
	Fits(t Target, need Resources) error
}
