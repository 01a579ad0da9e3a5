/** What a simulated sensor measures. */
export interface Measurement {
  readonly temperatureC: number;
  readonly humidityPercent: number;
  readonly batteryVolt: number;
}

const TEMPERATURE = 0x67;
const HUMIDITY = 0x68;
const ANALOG_INPUT = 0x02;

/**
 * Cayenne Low Power Payload, 11 bytes: temperature on channel 1 (0.1 degC), relative humidity on channel 2 (0.5 %),
 * analog input on channel 3 (0.01). Signed values are big-endian two's complement.
 */
export function encodeLpp(measurement: Measurement): Buffer {
  const bytes = Buffer.alloc(11);
  bytes.set([1, TEMPERATURE], 0);
  bytes.writeInt16BE(Math.round(measurement.temperatureC * 10), 2);
  bytes.set([2, HUMIDITY], 4);
  bytes.writeUInt8(Math.round(measurement.humidityPercent * 2), 6);
  bytes.set([3, ANALOG_INPUT], 7);
  bytes.writeInt16BE(Math.round(measurement.batteryVolt * 100), 9);
  return bytes;
}
