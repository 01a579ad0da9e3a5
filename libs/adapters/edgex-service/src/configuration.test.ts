import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { COMMON, OWN, Surroundings, until, type Json } from './edgex-service.fixture.ts';

let around: Surroundings;
beforeEach(async () => {
  around = await Surroundings.open();
});
afterEach(() => around.close());

describe('the Writable section', () => {
  test('is what is configured, then what all services share, then what is the own of this one', async () => {
    around.keeper.keys = {
      [`${COMMON}/LogLevel`]: 'ERROR',
      [`${COMMON}/PersistData`]: 'false',
      [`${OWN}/LogLevel`]: 'debug',
    };
    const { applied, log, peer, stop } = await around.run({
      options: { writable: { Telemetry: { Interval: '1m' } } },
    });
    await until(() => log.level === 'debug');
    expect(applied.at(-1)).toMatchObject({ PersistData: false });
    expect((await peer.call({ path: '/config' })).json()).toMatchObject({
      config: { Writable: { LogLevel: 'DEBUG', PersistData: false, Telemetry: { Interval: '1m' } } },
    });
    await stop();
    expect(log.level).toBe('info');
  });

  test('follows notices, and goes back to what was configured when a key goes', async () => {
    const { applied, log, stop } = await around.run();
    expect(applied.at(-1)).toEqual({ PersistData: true });
    await around.change(`${OWN}/PersistData`, 'false');
    await until(() => applied.at(-1)?.['PersistData'] === false);
    await around.change(`${COMMON}/LogLevel`, 'WARN');
    await until(() => log.level === 'warn');
    await around.change(`${OWN}/PersistData`, undefined);
    await until(() => applied.at(-1)?.['PersistData'] === true);
    const reads = applied.length;
    await around.change('edgex/v4/core-metadata/Writable/LogLevel', 'TRACE');
    await delay(50);
    expect([applied.length, log.level]).toEqual([reads, 'warn']);
    await stop();
  });

  test('with wrong values keeps to the right ones, and says once which are wrong', async () => {
    around.keeper.keys = {
      [`${OWN}/PersistData`]: 'perhaps',
      [`${OWN}/LogLevel`]: 'WARN',
      [`${OWN}/Telemetry`]: 'none',
    };
    const { applied, log, said, stop } = await around.run();
    await until(() => log.level === 'warn');
    expect(applied.at(-1)).toMatchObject({ PersistData: true });
    await around.change(`${OWN}/Other`, '1');
    await delay(50);
    expect(said.filter(({ wrong }) => wrong !== undefined)).toEqual([
      expect.objectContaining({
        wrong: expect.arrayContaining([
          expect.stringContaining('Writable/PersistData'),
          expect.stringContaining('Writable/Telemetry'),
        ]),
      }),
    ]);
    await stop();
  });

  test('does without core-keeper, and follows it once it is there', async () => {
    around.keeper.answers = false;
    around.keeper.keys = { [`${OWN}/PersistData`]: 'false' };
    const { applied, stop } = await around.run();
    expect(applied).toEqual([{ PersistData: true }]);
    around.keeper.answers = true;
    await around.change(`${OWN}/LogLevel`, 'INFO');
    await until(() => applied.at(-1)?.['PersistData'] === false);
    await stop();
  });

  test('that is configured wrongly stops the start', async () => {
    await expect(around.run({ options: { writable: { LogLevel: 'loud' } } })).rejects.toThrow(
      /writable: LogLevel/,
    );
  });
});

test('a section of a service’s own is followed too, as long as it runs', async () => {
  const { edgex, said, stop } = await around.run();
  const values: unknown[] = [];
  edgex.followSection('Driver', { Port: '1', Baud: '2' }, (now) => {
    values.push(now);
    if (values.length === 2) throw new AntirioError('invalidInput', 'no such port');
  });
  const key = 'edgex/v4/core-data/Driver';
  await around.change(`${key}/Port`, '5');
  await until(() => values.length === 1);
  await around.change(`${key}/Port`, '6');
  await until(() => values.length === 2);
  await around.change('edgex/v4/core-data/Other/Port', '7');
  await around.change(`${key}/Port`, undefined);
  await until(() => values.length === 3);
  expect(values).toEqual([
    { Port: '5', Baud: '2' },
    { Port: '6', Baud: '2' },
    { Port: '1', Baud: '2' },
  ]);
  expect(said.at(-1)).toMatchObject({ section: 'Driver', error: expect.stringContaining('no such port') });
  await stop();
  await around.change(`${key}/Port`, '8');
  await delay(50);
  expect(values).toHaveLength(3);
});

test('what the environment says stays, whatever core-keeper has', async () => {
  around.keeper.keys = {
    [`${OWN}/LogLevel`]: 'INFO',
    [`${OWN}/PersistData`]: 'false',
    'edgex/v4/core-data/Driver/Baud': '9600',
    'edgex/v4/core-data/Driver/Port': '5',
  };
  const says: Json = { Writable: { LogLevel: 'DEBUG' }, Driver: { Baud: '115200' } };
  const { edgex, applied, log, stop } = await around.run({
    options: { writable: { LogLevel: 'DEBUG' } },
    fromEnvironment: (section) => (says[section] ?? {}) as Json,
  });
  await until(() => applied.at(-1)?.['PersistData'] === false);
  expect(log.level).toBe('debug');
  const values: unknown[] = [];
  edgex.followSection('Driver', { Port: '5', Baud: '115200' }, (now) => void values.push(now));
  // as it was begun with: nothing is told until something becomes another
  await around.change('edgex/v4/core-data/Driver/Baud', '4800');
  await around.change('edgex/v4/core-data/Driver/Port', '6');
  await until(() => values.length > 0);
  expect(values).toEqual([{ Port: '6', Baud: '115200' }]);
  await around.change(`${OWN}/LogLevel`, 'ERROR');
  await around.change(`${OWN}/PersistData`, 'true');
  await until(() => applied.at(-1)?.['PersistData'] === true);
  expect(log.level).toBe('debug');
  await stop();
});
