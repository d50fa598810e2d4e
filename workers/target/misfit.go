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
