// device-room is a device service as EdgeX's SDK makes them: a simulated room with a heater. It is written against the
// SDK's documentation alone and knows nothing of the services that it is run against.
package main

import (
	"fmt"
	"sync"

	"github.com/edgexfoundry/device-sdk-go/v4/pkg/interfaces"
	sdk "github.com/edgexfoundry/device-sdk-go/v4/pkg/models"
	"github.com/edgexfoundry/device-sdk-go/v4/pkg/startup"
	"github.com/edgexfoundry/go-mod-core-contracts/v4/models"
)

type protocols = map[string]models.ProtocolProperties

// rooms keeps what was set, by device and resource, and counts what was read.
type rooms struct {
	mutex   sync.Mutex
	set     map[string]any
	counted map[string]uint64
}

func (r *rooms) value(device string, req sdk.CommandRequest) (any, error) {
	if value, ok := r.set[device+"/"+req.DeviceResourceName]; ok {
		return value, nil
	}
	switch req.DeviceResourceName {
	case "Temperature":
		return 21.5, nil
	case "Setpoint":
		return 20.0, nil
	case "Counter":
		r.counted[device]++
		return r.counted[device], nil
	case "Picture":
		return []byte{0x89, 'P', 'N', 'G', 0, 1, 2, 3}, nil
	case "Settings":
		return map[string]any{"mode": "auto", "steps": []int{1, 2, 3}}, nil
	default:
		return nil, fmt.Errorf("the room has no %s", req.DeviceResourceName)
	}
}

func (r *rooms) HandleReadCommands(device string, _ protocols, reqs []sdk.CommandRequest) ([]*sdk.CommandValue, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	values := make([]*sdk.CommandValue, 0, len(reqs))
	for _, req := range reqs {
		value, err := r.value(device, req)
		if err != nil {
			return nil, err
		}
		read, err := sdk.NewCommandValue(req.DeviceResourceName, req.Type, value)
		if err != nil {
			return nil, err
		}
		values = append(values, read)
	}
	return values, nil
}

func (r *rooms) HandleWriteCommands(device string, _ protocols, _ []sdk.CommandRequest, params []*sdk.CommandValue) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, param := range params {
		r.set[device+"/"+param.DeviceResourceName] = param.Value
	}
	return nil
}

// ValidateDevice is asked by core-metadata over the message bus before it takes a device.
func (r *rooms) ValidateDevice(device models.Device) error {
	if device.Protocols["room"]["floor"] == nil {
		return fmt.Errorf("%s is on no floor", device.Name)
	}
	return nil
}

func (r *rooms) Initialize(interfaces.DeviceServiceSDK) error            { return nil }
func (r *rooms) Start() error                                            { return nil }
func (r *rooms) Stop(bool) error                                         { return nil }
func (r *rooms) Discover() error                                         { return nil }
func (r *rooms) AddDevice(string, protocols, models.AdminState) error    { return nil }
func (r *rooms) UpdateDevice(string, protocols, models.AdminState) error { return nil }
func (r *rooms) RemoveDevice(string, protocols) error                    { return nil }

func main() {
	driver := &rooms{set: map[string]any{}, counted: map[string]uint64{}}
	startup.Bootstrap("device-room", "4.0.0", driver)
}
