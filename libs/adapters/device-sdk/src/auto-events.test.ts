import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import { silentLog } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { AutoEvent, Device } from '@antirio/edgex-contracts';
import { createAutoEvents, type AutoEvents } from './auto-events.ts';
import { commandValue } from './index.ts';
import { profile, room, SERVICE, testDriver, until, withSurroundings } from './surroundings.fixture.ts';

const autoEvent = (interval: string, more: object = {}): AutoEvent =>
  ({ interval, sourceName: 'Temperature', ...more }) as AutoEvent;
const deviceWith = (name: string, ...autoEvents: AutoEvent[]): Device => ({ name, autoEvents }) as Device;

describe('auto events by themselves', () => {
  let clock = 0;
  const ticks: string[] = [];
  let hold: Promise<void> | undefined;
  let mayRun = true;
  let all: AutoEvents;
  beforeEach(() => {
    clock = 0;
    ticks.length = 0;
    hold = undefined;
    mayRun = true;
    all = createAutoEvents({
      clock: { monotonic: () => clock },
      log: silentLog,
      mayRun: () => mayRun,
      begin: (name, { sourceName }) => ({
        async tick() {
          ticks.push(`${name} ${sourceName} ${clock}`);
          await hold;
        },
      }),
    });
  });
  afterEach(async () => all.stop());

  /** Lets the timers fire that are due. */
  const at = async (ms: number, count: number): Promise<void> => {
    clock = ms;
    await until(() => ticks.length >= count);
  };

  test('what was due while a reading was under way is counted, and not made up for', async () => {
    const gate = Promise.withResolvers<undefined>();
    hold = gate.promise;
    all.follow('d', deviceWith('d', autoEvent('10ms')));
    await at(10, 1);
    clock = 55;
    hold = undefined;
    gate.resolve(undefined);
    await until(() => all.counts.missed === 4);
    await at(60, 2);
    expect(ticks).toEqual(['d Temperature 10', 'd Temperature 60']);
  });

  test('they end where the device may not be read, and begin again', async () => {
    all.follow('d', deviceWith('d', autoEvent('1ms'), autoEvent('2ms')));
    expect(all.counts.running).toBe(2);
    mayRun = false;
    all.follow('d', deviceWith('d', autoEvent('1ms'), autoEvent('2ms')));
    expect(all.counts.running).toBe(0);
    mayRun = true;
    all.follow('d', deviceWith('d', autoEvent('1ms')));
    all.follow('d', deviceWith('d', autoEvent('1ms')));
    expect(all.counts.running).toBe(1);
    all.follow('d', undefined);
    expect(all.counts.running).toBe(0);
  });

  test('those of a thousand devices that hang have one reading each under way, and no more', async () => {
    const gate = Promise.withResolvers<undefined>();
    hold = gate.promise;
    for (let index = 0; index < 1000; index += 1)
      all.follow(
        `d${index}`,
        deviceWith(`d${index}`, autoEvent('5ms'), autoEvent('5ms', { sourceName: 'Setpoint' })),
      );
    await at(5, 2000);
    clock = 10_000;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ticks).toHaveLength(2000);
    expect(process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length).toBeLessThan(100);
    gate.resolve(undefined);
    await until(() => all.counts.missed === 2000 * 1999);
  });
});

describe('auto events of a service', () => {
  const around = withSurroundings(loadContract('core-metadata'));
  const withEvents = (name: string, ...autoEvents: object[]) => room(name, { autoEvents });

  test('begin with the device, and stop when it is locked, DOWN or gone', async () => {
    const service = await around.start(testDriver(), {}, { provision: { profiles: [profile] } });
    await service.registered();
    const device = (more: object = {}) => ({
      ...withEvents('r1', { interval: '10ms', sourceName: 'Temperature' }),
      serviceName: SERVICE,
      adminState: 'UNLOCKED',
      operatingState: 'UP',
      ...more,
    });
    const figure = async (): Promise<boolean> =>
      Buffer.from((await around.call(service, { path: '/metrics' })).body).includes('device_autoevents 0');
    await around.metadata.put('device', device());
    await until(() => around.events.length > 2);
    for (const stopped of [{ adminState: 'LOCKED' }, { operatingState: 'DOWN' }]) {
      await around.metadata.put('device', device(stopped));
      await until(figure);
      const { length } = around.events;
      await around.metadata.put('device', device());
      await until(() => around.events.length > length);
    }
    await around.metadata.remove('device', 'r1');
    await until(figure);
  });

  test('with onChange tell of changes alone, those over the threshold', async () => {
    const driver = testDriver();
    let reads = 0;
    driver.read = async (_device, requests) => {
      reads += 1;
      return requests.map(({ resourceName, valueType }) =>
        commandValue(resourceName, valueType, driver.values[resourceName]),
      );
    };
    const devices = [
      withEvents('r1', { interval: '5ms', sourceName: 'Setpoint', onChange: true, onChangeThreshold: 2 }),
    ];
    const service = await around.start(driver, {}, { provision: { profiles: [profile], devices } });
    await service.registered();
    await until(() => around.events.length === 1);
    driver.values['Setpoint'] = 22;
    const before = reads;
    await until(() => reads > before + 3);
    expect(around.events).toHaveLength(1);
    driver.values['Setpoint'] = 23;
    await until(() => around.events.length === 2);
  });

  test('go on after what could not be read or sent, which is counted', async () => {
    const driver = testDriver();
    let fails = true;
    const read = driver.read;
    driver.read = async (...given) => {
      if (fails) throw new TypeError('no answer');
      return read(...given);
    };
    let refuses = true;
    const sent: string[] = [];
    const eventSink = async ({ sourceName }: { sourceName: string }): Promise<void> => {
      if (refuses) throw new AntirioError('unavailable', 'nobody takes it');
      sent.push(sourceName);
    };
    const devices = [withEvents('r1', { interval: '5ms', sourceName: 'Climate', onChange: true })];
    const service = await around.start(
      driver,
      {},
      { eventSink, provision: { profiles: [profile], devices } },
    );
    await service.registered();
    const metric = async (text: RegExp): Promise<boolean> =>
      text.test(Buffer.from((await around.call(service, { path: '/metrics' })).body).toString());
    await until(() => metric(/device_autoevents_failed_total [1-9]/));
    fails = false;
    await until(() => metric(/device_events_dropped_total [1-9]/));
    refuses = false;
    await until(() => sent.length === 1);
  });

  test('of a thousand devices all come', async () => {
    const devices = Array.from({ length: 1000 }, (_, index) =>
      withEvents(`r${index}`, { interval: '500ms', sourceName: 'Temperature' }),
    );
    const service = await around.start(testDriver(), {}, { provision: { profiles: [profile], devices } });
    await service.registered();
    const seen = (): number => new Set(around.events.map(({ topic }) => topic.split('/')[5])).size;
    await until(() => seen() === 1000);
    expect(service.sdk.devices()).toHaveLength(1000);
  });
});
