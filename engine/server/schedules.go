package server

import (
	"context"
	"strings"

	"go.temporal.io/sdk/client"
)

// SchedulePrefix is how the ids of the schedules begin whose runs a task queue takes.
func SchedulePrefix(queue string) string { return queue + ".schedule." }

// Schedules lists the names of the schedules of a task queue which fit.
func Schedules(ctx context.Context, c client.Client, queue string, fits func(*client.ScheduleListEntry) bool) ([]string, error) {
	all, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 500})
	if err != nil {
		return nil, err
	}
	var names []string
	for all.HasNext() {
		s, err := all.Next()
		if err != nil {
			return nil, err
		}
		if name, ours := strings.CutPrefix(s.ID, SchedulePrefix(queue)); ours && fits(s) {
			names = append(names, name)
		}
	}
	return names, nil
}

// awaited reports whether a schedule will begin runs: nobody else would be there to do
// so. One that is paused is woken by a command, which starts the server.
func awaited(ctx context.Context, c client.Client, queue string) bool {
	names, err := Schedules(ctx, c, queue, func(s *client.ScheduleListEntry) bool { return !s.Paused })
	return err == nil && len(names) > 0 // an engine may have no schedules at all
}
