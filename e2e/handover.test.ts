import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { lacksFor, type DemoOptionsInput } from '@antirio/demo';
import { testWhen } from '@antirio/testing';
import { get } from './support/ask.ts';
import { runCommand } from './support/command.ts';
import { startDemos, type Demos, type PlannedDemo } from './support/demos.ts';
import { expectStayedWell, expectWentWell } from './support/verdicts.ts';

type Kill = NonNullable<DemoOptionsInput['furtherKills']>[number];

const kill = (party: Kill['party'], phase: Kill['phase']): Kill => ({ party, phase });
/** Moments of the kills, traffic and losses follow from it. */
const seed = process.env['E2E_SEED'] ?? 'e2e';

/** One constant changed in the image that edge A publishes, and nowhere else: no sensor measures more than 127.5 %. */
const moistImage = {
  file: 'libs/domain/lorawan/src/cayenne-lpp.ts',
  find: 'view.getUint8(at) / 2',
  replace: 'view.getUint8(at) / 2 + 1000',
};
/** What edge B's core-data had of edge A's sensors while edge A was dead. */
const moisture: number[] = [];

function moistureIn(answer: unknown): number[] {
  const { events } = answer as {
    events: { readings: { resourceName: string; value?: string }[] }[];
  };
  const readings = events.flatMap((event) => event.readings);
  return readings
    .filter(({ resourceName }) => resourceName === 'relative_humidity_2')
    .map(({ value }) => Number(value));
}

/**
 * Every way in which edge A may fail so that edge B takes over, both confidentialities, every standby; and SIGKILLs besides, of everybody and in every
 * phase. Each must end the same: nothing lost, doubled or forged, 900 and 1100 in the accounts.
 */
const plans: Readonly<Record<string, PlannedDemo>> = {
  'killed, process, hot': {
    kill: 'sigkill',
    furtherKills: [kill('b', 'agreement'), kill('central', 'handback')],
    imageEdit: moistImage,
    onServing: async ({ nodes }) => {
      const newest = await get(`${nodes.b.url('coreData')}/api/v3/event/all?limit=50`);
      moisture.push(...moistureIn(newest));
    },
  },
  'killed, forward, warm': {
    ...{ kill: 'sigkill', confidentiality: 'forward', standby: 'warm' },
    furtherKills: [kill('b', 'takeover'), kill('a', 'handback')],
    asCommand: true,
  },
  'frozen, process, hot': {
    kill: 'freeze',
    furtherKills: [kill('b', 'migration'), kill('central', 'active'), kill('a', 'handback')],
  },
  'cut off, process, warm': {
    ...{ kill: 'partition', standby: 'warm' },
    furtherKills: [kill('b', 'ready'), kill('a', 'handback'), kill('central', 'migration')],
  },
  'cut off one way, forward, cold': {
    ...{ kill: 'one-way', confidentiality: 'forward', standby: 'cold' },
    furtherKills: [kill('central', 'agreement'), kill('a', 'active'), kill('b', 'active')],
  },
  'killed while there is no centre, process, hot': { kill: 'arbitrator' },
  'killed, and started with an old backup, forward, hot': {
    ...{ kill: 'old-backup', confidentiality: 'forward' },
    furtherKills: [kill('b', 'takeover')],
  },
  // Where edge B is READY before edge A is back, this kill is the failure that it takes over.
  'killed while its image is sent, process, cold': {
    ...{ kill: 'sigkill', standby: 'cold' },
    furtherKills: [kill('a', 'migration'), kill('b', 'handback')],
  },
  'killed while it agrees, process, hot': {
    kill: 'sigkill',
    furtherKills: [
      kill('a', 'agreement'),
      kill('central', 'ready'),
      kill('b', 'handback'),
      kill('a', 'active'),
    ],
  },
};
/** What is no failure that edge B takes over, or need not be one. */
const nuisances: Readonly<Record<string, PlannedDemo>> = {
  'loses three datagrams in ten': { kill: 'loss' },
  'is half a second away': { kill: 'delay', standby: 'warm' },
  'has a wall clock that jumps by an hour': { kill: 'clock' },
  'loses its broker': { kill: 'broker', confidentiality: 'forward' },
  'has a full disk': { kill: 'disk-full' },
};
const names = Object.keys(plans);
const inContainer = 'killed, with its service in a container at edge B';
const engineAnswers = await runCommand('docker', ['version']).then(
  ({ code }) => code === 0,
  () => false,
);

describe('edge A is', () => {
  let demos: Demos;
  beforeAll(() => {
    const container: PlannedDemo = { runtime: 'docker', asCommand: true };
    const possible = Object.fromEntries(
      Object.entries(nuisances).filter(([, { kill: kind = 'sigkill' }]) => lacksFor(kind) === undefined),
    );
    const all = { ...(engineAnswers ? { [inContainer]: container } : {}), ...plans, ...possible };
    demos = startDemos(all, (name) => ({ seed: `${seed}/${name}`, duration: 3 }));
  });
  afterAll(() => demos.end());

  test.each(names)('%s: nothing is lost, doubled or forged, and the money is right', async (name) => {
    expectWentWell(await demos.result(name));
  });

  for (const [name, { kill: kind = 'sigkill' }] of Object.entries(nuisances)) {
    const lacks = lacksFor(kind);
    testWhen(lacks === undefined, lacks ?? '')(
      `alive, but ${name}: nothing is lost, doubled or forged`,
      async () => {
        expectStayedWell(await demos.result(name), kind);
      },
    );
  }

  testWhen(engineAnswers, 'no container engine answers')(inContainer, async () => {
    expectWentWell(await demos.result(inContainer));
  });

  test('and edge B runs the bytes that edge A published, and nothing else', async () => {
    await demos.result('killed, process, hot');
    expect(moisture.length).toBeGreaterThan(0);
    expect(Math.min(...moisture)).toBeGreaterThanOrEqual(1_000);
  });

  test('that took at least 20 SIGKILLs, of everybody', async () => {
    const kills = (await Promise.all(names.map((name) => demos.result(name)))).flatMap(
      (result) => result.kills,
    );
    expect(kills.length).toBeGreaterThanOrEqual(20);
    expect(new Set(kills)).toEqual(new Set(['a', 'b', 'central']));
  });
});
