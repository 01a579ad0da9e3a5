import type { BusHandler } from '@antirio/host';
import { addDeviceRequest, refusalText } from '@antirio/edgex-contracts';
import { AntirioError } from '@antirio/kernel';
import { answering } from './bus-answers.ts';
import type { Driver } from './driver.ts';
import type { DriverCalls } from './driver-calls.ts';

type Ports = Parameters<typeof answering>[0] & {
  readonly driver: Driver;
  readonly calls: DriverCalls;
  /** The driver's start has begun. */
  readonly begun: Promise<void>;
};

/** Answers core-metadata's question whether a device is right, before it takes it. */
export function answerValidations(ports: Ports): BusHandler {
  const { begun, calls, driver } = ports;
  return answering(ports, async ({ payload }) => {
    const parsed = addDeviceRequest.safeParse(payload);
    if (!parsed.success)
      throw new AntirioError('invalidInput', refusalText('AddDeviceRequest', parsed.error, payload));
    const { device } = parsed.data;
    if (driver.validate !== undefined)
      await calls.callback(async () => {
        // the driver is asked nothing before it begins to start, where it may add devices itself
        await begun;
        await driver.validate?.(device);
      });
    return { payload: null };
  });
}
