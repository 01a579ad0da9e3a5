import { deviceProfile } from '@antirio/edgex-contracts';

/**
 * A sensor that speaks Cayenne LPP. Measured resources are found by their names (`temperature_1` is the temperature on channel 1) or
 * by the attributes `lpp` and `channel`; writable ones are sent as downlinks, by the attributes `fPort` and `confirmed`.
 */
export const loraEnvironmentSensor = deviceProfile.parse({
  name: 'lora-environment-sensor',
  description: 'LoRaWAN environment sensor with Cayenne LPP payloads',
  labels: ['lorawan', 'cayenne-lpp'],
  deviceResources: [
    {
      name: 'temperature_1',
      description: 'air temperature',
      properties: { valueType: 'Float64', readWrite: 'R', units: '°C' },
    },
    {
      name: 'relative_humidity_2',
      description: 'relative humidity',
      properties: { valueType: 'Float64', readWrite: 'R', units: '%' },
    },
    {
      name: 'analog_in_3',
      description: 'battery voltage',
      properties: { valueType: 'Float64', readWrite: 'R', units: 'V' },
    },
    {
      name: 'payload',
      description:
        'the FRMPayload itself: still encrypted where the AppSKey is not here, or what no codec could read',
      properties: { valueType: 'Binary', readWrite: 'R', mediaType: 'application/octet-stream' },
    },
    {
      name: 'interval',
      description: 'seconds between two uplinks',
      properties: { valueType: 'Uint16', readWrite: 'W', units: 's' },
      attributes: { fPort: 10, confirmed: true },
    },
    {
      name: 'downlink',
      description: 'any downlink: {payload (hex), fPort, confirmed}',
      properties: { valueType: 'Object', readWrite: 'W' },
    },
    {
      name: 'downlinkState',
      description: 'the newest downlinks and what became of them',
      properties: { valueType: 'Object', readWrite: 'R' },
    },
  ],
  deviceCommands: [
    {
      name: 'uplink',
      readWrite: 'R',
      resourceOperations: [
        { deviceResource: 'temperature_1' },
        { deviceResource: 'relative_humidity_2' },
        { deviceResource: 'analog_in_3' },
      ],
    },
  ],
});
