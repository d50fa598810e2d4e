package engine

import (
	"context"
	"errors"
	"strings"

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
	var refused *serviceerror.FailedPrecondition
	switch {
	case errors.As(err, &away), errors.As(err, &late), errors.As(err, &noWorker), errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.As(err, &refused) && strings.Contains(refused.Message, "no poller"): // nor is there a worker
		return true
	}
	return status.Code(err) == codes.Unavailable
}
