package main

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/edgexfoundry/go-mod-core-contracts/v4/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/requests"
	"github.com/edgexfoundry/go-mod-messaging/v4/pkg/types"
)

// heat is an event with one simple reading.
func (p *proof) heat(device string, value float64) dtos.Event {
	event := dtos.NewEvent(p.profile(), device, "Heat")
	fine(event.AddSimpleReading("Heat", common.ValueTypeFloat64, value))
	event.Readings[0].Units = "Celsius"
	event.Tags = dtos.Tags{"site": "north", "rack": 3}
	return event
}

// motley is an event with a reading of each kind: it travels as CBOR.
func (p *proof) motley(device string) dtos.Event {
	event := dtos.NewEvent(p.profile(), device, "Both")
	event.AddBinaryReading("Image", []byte{0, 1, 2, 250, 255}, "image/png")
	event.AddObjectReading("Plan", map[string]any{"doors": []any{"a", 2.5, nil}, "open": true})
	fine(event.AddSimpleReading("List", common.ValueTypeInt32Array, []int32{-1, 0, 1}))
	fine(event.AddSimpleReading("Count", common.ValueTypeUint64, uint64(18_446_744_073_709_551_615)))
	event.AddNullReading("Heat", common.ValueTypeFloat64)
	return event
}

// sameEvent compares all that was sent.
func sameEvent(got, want dtos.Event) {
	equal("event", []any{got.Id, got.DeviceName, got.ProfileName, got.SourceName}, []any{want.Id, want.DeviceName, want.ProfileName, want.SourceName})
	equal("origin, to the nanosecond", got.Origin, want.Origin)
	equal("number of readings", len(got.Readings), len(want.Readings))
	if len(want.Tags) > 0 {
		equal("tags", got.Tags, want.Tags)
	}
	byName := map[string]dtos.BaseReading{}
	for _, reading := range got.Readings {
		byName[reading.ResourceName] = reading
	}
	for _, reading := range want.Readings {
		sameReading(byName[reading.ResourceName], reading)
	}
}

func sameReading(got, want dtos.BaseReading) {
	what := "reading of " + want.ResourceName
	equal(what, []any{got.DeviceName, got.ProfileName, got.ResourceName, got.ValueType, got.Units}, []any{want.DeviceName, want.ProfileName, want.ResourceName, want.ValueType, want.Units})
	equal(what+": origin", got.Origin, want.Origin)
	equal(what+": value", []any{got.Value, got.BinaryValue, got.MediaType, got.ObjectValue}, []any{want.Value, want.BinaryValue, want.MediaType, want.ObjectValue})
}

func (p *proof) add(event dtos.Event) {
	answer := must(p.events.Add(ctx(), p.service(), requests.NewAddEventRequest(event)))
	equal("status", answer.StatusCode, http.StatusCreated)
	equal("id", answer.Id, event.Id)
}

func (p *proof) eventsOf(device string) []dtos.Event {
	return must(p.events.EventsByDeviceName(ctx(), device, 0, -1)).Events
}

func (p *proof) dataByHTTP() {
	p.bus.hearEvents()
	device := "data-" + p.run
	first, second, motley := p.heat(device, 20.25), p.heat(device, -1e-7), p.motley(device)
	p.add(first)
	p.add(second)
	p.add(motley)
	refused(p.events.Add(ctx(), p.service(), requests.NewAddEventRequest(first))).with(http.StatusConflict)
	eventually("an event is passed on over the bus", func() bool { return p.bus.topicOf(first.Id) != "" })
	equal("its topic", p.bus.topicOf(first.Id), common.BuildTopic("edgex/events/core", p.service(), p.profile(), device, "Heat"))

	events := p.eventsOf(device)
	equal("number of events", len(events), 3)
	// The newest comes first.
	sameEvent(events[0], motley)
	sameEvent(events[1], second)
	sameEvent(events[2], first)
	equal("count", must(p.events.EventCountByDeviceName(ctx(), device)).Count, 3)
	holds("all events are counted", must(p.events.EventCount(ctx())).Count >= 3)
	page := must(p.events.EventsByDeviceName(ctx(), device, 1, 1))
	equal("a page", []any{page.TotalCount, len(page.Events), page.Events[0].Id}, []any{3, 1, second.Id})
	between := must(p.events.EventsByTimeRange(ctx(), first.Origin, second.Origin, 0, -1))
	equal("events of the time between, ends included", between.TotalCount, 2)
	holds("a page of all events", len(must(p.events.AllEvents(ctx(), 0, 2)).Events) == 2)
	refused(p.events.EventsByTimeRange(ctx(), second.Origin, first.Origin, 0, -1)).with(http.StatusBadRequest)
	refused(p.events.EventsByDeviceName(ctx(), device, 4, 1)).with(http.StatusRequestedRangeNotSatisfiable)

	p.askForReadings(device, first, second)
	p.deleteEvents(device, first)
}

func (p *proof) askForReadings(device string, first, second dtos.Event) {
	begin, end := first.Origin-1, time.Now().UnixNano()
	of := func(readings []dtos.BaseReading) []string {
		names := make([]string, len(readings))
		for i, reading := range readings {
			names[i] = reading.ResourceName
		}
		return names
	}
	equal("count", must(p.readings.ReadingCountByDeviceName(ctx(), device)).Count, 7)
	holds("all readings are counted", must(p.readings.ReadingCount(ctx())).Count >= 7)
	holds("a page of all readings", len(must(p.readings.AllReadings(ctx(), 0, 3)).Readings) == 3)
	equal("readings of the device", must(p.readings.ReadingsByDeviceName(ctx(), device, 0, -1)).TotalCount, 7)
	heat := must(p.readings.ReadingsByDeviceNameAndResourceName(ctx(), device, "Heat", 0, -1))
	equal("readings of the resource", of(heat.Readings), []string{"Heat", "Heat", "Heat"})
	sameReading(heat.Readings[2], first.Readings[0])
	equal("a reading that is null", heat.Readings[0].Value, "")
	byName := must(p.readings.ReadingsByResourceName(ctx(), "Heat", 0, -1))
	holds("readings by resource alone", byName.TotalCount >= 3)
	both := must(p.readings.ReadingsByDeviceNameAndResourceNamesAndTimeRange(ctx(), device, []string{"Plan", "Image"}, begin, end, 0, -1))
	equal("readings of two resources", both.TotalCount, 2)
	one := must(p.readings.ReadingsByDeviceNameAndResourceNameAndTimeRange(ctx(), device, "Heat", second.Origin, second.Readings[0].Origin, 0, -1))
	equal("readings of the resource in that time", []any{one.TotalCount, one.Readings[0].Value}, []any{1, second.Readings[0].Value})
	holds("readings of that time", must(p.readings.ReadingsByTimeRange(ctx(), begin, end, 0, -1)).TotalCount >= 7)
	ranged := must(p.readings.ReadingsByResourceNameAndTimeRange(ctx(), "List", begin, end, 0, -1))
	equal("an array's value", ranged.Readings[0].Value, "[-1, 0, 1]")
}

func (p *proof) deleteEvents(device string, first dtos.Event) {
	must(p.events.DeleteById(ctx(), first.Id))
	refused(p.events.DeleteById(ctx(), first.Id)).with(http.StatusNotFound)
	equal("count", must(p.events.EventCountByDeviceName(ctx(), device)).Count, 2)
	equal("status", must(p.events.DeleteByDeviceName(ctx(), device)).StatusCode, http.StatusAccepted)
	eventually("the device's events are gone", func() bool {
		return must(p.events.EventCountByDeviceName(ctx(), device)).Count == 0
	})
}

// publish sends an event as a device service does, which may escape names in topics or not.
func (p *proof) publish(event dtos.Event, escape bool) {
	request := requests.NewAddEventRequest(event)
	data, contentType, err := request.Encode()
	if err != nil {
		fail("%s", err.Error())
	}
	var payload any = request
	if contentType == common.ContentTypeCBOR {
		payload = data
	}
	withType := contextWith(common.ContentType, contentType)
	topic := common.NewPathBuilder().EnableNameFieldEscape(escape).SetPath("edgex/events/device").
		SetNameFieldPath(p.service()).SetNameFieldPath(event.ProfileName).SetNameFieldPath(event.DeviceName).
		SetNameFieldPath(event.SourceName).BuildPath()
	fine(p.bus.Publish(types.NewMessageEnvelope(payload, withType), topic))
}

func (p *proof) dataByBus() {
	device := "bus-" + p.run
	plain, motley := p.heat(device, 3), p.motley(device)
	p.publish(plain, false)
	p.publish(motley, true)
	// What all of an EdgeX system's services may be told to do.
	fine(os.Setenv("EDGEX_MSG_BASE64_PAYLOAD", "true"))
	coded := p.heat(device, 4)
	p.publish(coded, false)
	fine(os.Unsetenv("EDGEX_MSG_BASE64_PAYLOAD"))
	eventually("what was published is stored", func() bool { return len(p.eventsOf(device)) == 3 })
	events := p.eventsOf(device)
	sameEvent(events[0], coded)
	sameEvent(events[1], motley)
	sameEvent(events[2], plain)

	p.publish(p.heat(p.strange(), 5), true)
	eventually("a strange name is understood", func() bool {
		return must(p.events.EventCountByDeviceName(ctx(), url.PathEscape(p.strange()))).Count == 1
	})

	const burst = 500
	crowd := "burst-" + p.run
	for i := 0; i < burst; i++ {
		p.publish(p.heat(crowd, float64(i)), false)
	}
	eventually("all of a burst is stored", func() bool {
		return must(p.events.EventCountByDeviceName(ctx(), crowd)).Count == burst
	})
	fine(p.bus.Publish(types.NewMessageEnvelope(strings.Repeat("no event ", 3), contextWith(common.ContentType, common.ContentTypeJSON)), "edgex/events/device/a/b/c/d"))
	p.add(p.heat(device, 6))
	equal("what is no event harms nobody", len(p.eventsOf(device)), 4)
}
