package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
)

// happening is one event of a run's history in an export. What was handed over in it
// is left out: it is in the plan and in the record, and holds more than people may
// want to hand on.
type happening struct {
	Number  int64     `json:"number"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`              // as Temporal calls it
	Of      string    `json:"of,omitempty"`      // the job, workflow, signal or timer that it is about
	Does    string    `json:"does,omitempty"`    // the activity or workflow that begins
	After   int64     `json:"after,omitempty"`   // the number of the event that asked for this one
	Message string    `json:"message,omitempty"` // of a failure
}

func (x *exporter) events(ctx context.Context) error {
	var b bytes.Buffer
	err := x.e.do(ctx, func(ctx context.Context, c client.Client) error {
		b.Reset()
		out := json.NewEncoder(&b)
		out.SetEscapeHTML(false)
		events := c.GetWorkflowHistory(ctx, idPrefix+x.run.Run, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				return named(x.run.Run, err)
			}
			if err := out.Encode(happened(e)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return x.write("events.ndjson", b.Bytes())
}

// happened is an event without what was handed over in it.
func happened(e *history.HistoryEvent) happening {
	h := happening{Number: e.GetEventId(), Time: e.GetEventTime().AsTime().UTC(), Type: e.GetEventType().String()}
	said := func(f *failure.Failure) {
		var words []string
		for ; f != nil; f = f.GetCause() {
			if m := f.GetMessage(); m != "" {
				words = append(words, m)
			}
		}
		h.Message = strings.Join(words, ": ")
	}
	switch a := e.GetAttributes().(type) {
	case *history.HistoryEvent_WorkflowExecutionFailedEventAttributes:
		said(a.WorkflowExecutionFailedEventAttributes.GetFailure())
	case *history.HistoryEvent_WorkflowExecutionSignaledEventAttributes:
		h.Of = a.WorkflowExecutionSignaledEventAttributes.GetSignalName()
	case *history.HistoryEvent_WorkflowTaskFailedEventAttributes:
		said(a.WorkflowTaskFailedEventAttributes.GetFailure())
	case *history.HistoryEvent_ActivityTaskScheduledEventAttributes:
		h.Of, h.Does = a.ActivityTaskScheduledEventAttributes.GetActivityId(), a.ActivityTaskScheduledEventAttributes.GetActivityType().GetName()
	case *history.HistoryEvent_ActivityTaskStartedEventAttributes:
		h.After = a.ActivityTaskStartedEventAttributes.GetScheduledEventId()
		said(a.ActivityTaskStartedEventAttributes.GetLastFailure())
	case *history.HistoryEvent_ActivityTaskCompletedEventAttributes:
		h.After = a.ActivityTaskCompletedEventAttributes.GetScheduledEventId()
	case *history.HistoryEvent_ActivityTaskFailedEventAttributes:
		h.After = a.ActivityTaskFailedEventAttributes.GetScheduledEventId()
		said(a.ActivityTaskFailedEventAttributes.GetFailure())
	case *history.HistoryEvent_ActivityTaskTimedOutEventAttributes:
		h.After = a.ActivityTaskTimedOutEventAttributes.GetScheduledEventId()
		said(a.ActivityTaskTimedOutEventAttributes.GetFailure())
	case *history.HistoryEvent_ActivityTaskCanceledEventAttributes:
		h.After = a.ActivityTaskCanceledEventAttributes.GetScheduledEventId()
	case *history.HistoryEvent_TimerStartedEventAttributes:
		h.Of = a.TimerStartedEventAttributes.GetTimerId()
	case *history.HistoryEvent_TimerFiredEventAttributes:
		h.Of, h.After = a.TimerFiredEventAttributes.GetTimerId(), a.TimerFiredEventAttributes.GetStartedEventId()
	case *history.HistoryEvent_MarkerRecordedEventAttributes:
		h.Of = a.MarkerRecordedEventAttributes.GetMarkerName()
		said(a.MarkerRecordedEventAttributes.GetFailure())
	case *history.HistoryEvent_StartChildWorkflowExecutionInitiatedEventAttributes:
		h.Of, h.Does = a.StartChildWorkflowExecutionInitiatedEventAttributes.GetWorkflowId(), a.StartChildWorkflowExecutionInitiatedEventAttributes.GetWorkflowType().GetName()
	case *history.HistoryEvent_ChildWorkflowExecutionFailedEventAttributes:
		h.Of = a.ChildWorkflowExecutionFailedEventAttributes.GetWorkflowExecution().GetWorkflowId()
		said(a.ChildWorkflowExecutionFailedEventAttributes.GetFailure())
	case *history.HistoryEvent_ChildWorkflowExecutionCompletedEventAttributes:
		h.Of = a.ChildWorkflowExecutionCompletedEventAttributes.GetWorkflowExecution().GetWorkflowId()
	}
	return h
}
