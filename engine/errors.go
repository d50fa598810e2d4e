package engine

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// gone reports whether an error means that the server is no longer there, rather
// than that it said no.
func gone(err error) bool {
	var away *serviceerror.Unavailable
	var late *serviceerror.DeadlineExceeded
	var noWorker *serviceerror.WorkflowNotReady
	switch {
	case errors.As(err, &away), errors.As(err, &late), errors.As(err, &noWorker), errors.Is(err, context.DeadlineExceeded):
		return true
	}
	return status.Code(err) == codes.Unavailable
}
