package main

import (
	"net/http"

	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos"
	dtoCommon "github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/common"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/dtos/requests"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/models"
	"github.com/edgexfoundry/go-mod-messaging/v4/pkg/types"
)

func (p *proof) keeper() {
	p.configuration()
	p.registrations()
}

func (p *proof) put(key string, flatten bool, value any) {
	must(p.keys.UpdateValuesByKey(ctx(), key, flatten, requests.UpdateKeysRequest{BaseRequest: dtoCommon.NewBaseRequest(), Value: value}))
}

func (p *proof) configuration() {
	base := "edgex/v4/proof-" + p.run
	told := map[string]any{}
	p.bus.hear("edgex/configs/"+base+"/#", func(message types.MessageEnvelope) {
		pair := sure(types.GetMsgPayload[models.KVS](message))
		told[pair.Key] = pair.Value
	})
	p.put(base, true, map[string]any{"Writable": map[string]any{"LogLevel": "INFO", "On": true}, "Service": map[string]any{"Port": 59999}})
	values := map[string]any{}
	for _, pair := range must(p.keys.ValuesByKey(ctx(), base)).Response {
		values[pair.Key] = pair.Value
	}
	equal("values below the key, as text", values, map[string]any{
		base + "/Writable/LogLevel": "INFO", base + "/Writable/On": "true", base + "/Service/Port": "59999",
	})
	equal("keys below the key", len(must(p.keys.ListKeys(ctx(), base)).Response), 3)
	p.put(base+"/Writable/LogLevel", false, "DEBUG")
	eventually("a change is told", func() bool {
		p.bus.mutex.Lock()
		defer p.bus.mutex.Unlock()
		return told[base+"/Writable/LogLevel"] == "DEBUG"
	})
	must(p.keys.DeleteKey(ctx(), base+"/Service/Port"))
	refused(p.keys.ValuesByKey(ctx(), base+"/Service/Port")).with(http.StatusNotFound)
	must(p.keys.DeleteKeysByPrefix(ctx(), base))
	refused(p.keys.ListKeys(ctx(), base)).with(http.StatusNotFound)
}

func (p *proof) registrations() {
	id := "proof-" + p.run
	request := requests.AddRegistrationRequest{
		BaseRequest: dtoCommon.NewBaseRequest(),
		Registration: dtos.Registration{
			ServiceId: id, Host: "127.0.0.1", Port: 9,
			HealthCheck: dtos.HealthCheck{Interval: "1s", Path: "/api/v3/ping", Type: "http"},
		},
	}
	if err := p.registry.Register(ctx(), request); err != nil {
		fail("%s", err.Error())
	}
	holds("a service registers once", p.registry.Register(ctx(), request) != nil)
	found := must(p.registry.RegistrationByServiceId(ctx(), id)).Registration
	equal("where it is", []any{found.Host, found.Port, found.HealthCheck}, []any{"127.0.0.1", 9, request.Registration.HealthCheck})
	eventually("nobody answers there", func() bool {
		return must(p.registry.RegistrationByServiceId(ctx(), id)).Registration.Status == "DOWN"
	})
	request.Registration.Port = 10
	if err := p.registry.UpdateRegister(ctx(), request); err != nil {
		fail("%s", err.Error())
	}
	equal("the new port", must(p.registry.RegistrationByServiceId(ctx(), id)).Registration.Port, 10)
	holds("it is among all", must(p.registry.AllRegistry(ctx(), false)).TotalCount >= 1)
	if err := p.registry.Deregister(ctx(), id); err != nil {
		fail("%s", err.Error())
	}
	refused(p.registry.RegistrationByServiceId(ctx(), id)).with(http.StatusNotFound)
}
