import { DemoError } from '@antirio/demo';
import {
  PARTIES,
  TITLES,
  waitFor,
  type AnyParty,
  type Network,
  type PartyName,
  type PartyNode,
} from '@antirio/demo/scenes';
import { docker } from '@antirio/edge-image';
import { doorOf, wayIn } from './lab-files.ts';
import { originsOf, urlOf, type LabState } from './lab-state.ts';
import { dropFrom, takeAll, type Door } from './packet-filter.ts';

function notInTheLab(what: string): never {
  throw new DemoError('unavailable', `${what} is no part of the lab: npm run demo has it`);
}

async function isThere(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}

/** A party whose services are containers: all of them live and die together. */
export function containerNode(
  state: LabState,
  party: PartyName,
  containers: ReadonlyMap<string, string>,
): PartyNode {
  const { parties, project } = state;
  const { edgeId, offset } = parties[party];
  const own = [...containers]
    .filter(([service]) => (party === 'central' ? service === party : service.startsWith(`${party}-`)))
    .map(([, id]) => id);
  const url: PartyNode['url'] = (room) => urlOf(state, party, room);
  const all = async (what: 'start' | 'kill' | 'stop' | 'pause' | 'unpause'): Promise<void> => {
    // The engine's client starts them one after the other; a machine that is switched on does not.
    await Promise.all(own.map((id) => docker([what, id])));
  };
  return {
    ...{ party, title: TITLES[party], edgeId, offset, folder: `${project}_${party}`, pid: undefined, url },
    start: () => all('start'),
    kill: () => all('kill'),
    terminate: () => all('stop'),
    freeze: () => all('pause'),
    thaw: () => all('unpause'),
    startRoom: () => notInTheLab('a room that dies alone'),
    killRoom: () => notInTheLab('a room that dies alone'),
    answering: async (waiter, withinMs) => {
      await waitFor<true>(waiter, {
        subject: `${TITLES[party]} answers`,
        withinMs,
        everyMs: 50,
        look: async () => {
          const origins = originsOf(state, party);
          const answers = await Promise.all(origins.map((origin) => isThere(`${origin}/api/v3/ping`)));
          const silent = origins.filter((_, index) => answers[index] !== true);
          return silent.length === 0 ? { found: true } : { seen: `no answer from ${silent.join(', ')}` };
        },
      });
    },
  };
}

/** The network between the parties: that of the engine, in which each door has a namespace of its own. */
export function labNetwork({ subnets }: LabState, containers: ReadonlyMap<string, string>): Network {
  const door = (party: AnyParty): Door => doorOf(subnets, containers, party);
  const withOthers = async (
    party: AnyParty,
    what: (own: Door, other: Door) => Promise<void>,
  ): Promise<void> => {
    const others = PARTIES.filter((one) => one !== party).map(door);
    await Promise.all(others.map((other) => what(door(party), other)));
  };
  const lose = (party: AnyParty, share?: number): Promise<void> =>
    withOthers(party, async (own, other) => {
      await Promise.all([dropFrom(own, other, share), dropFrom(other, own, share)]);
    });
  return {
    get tool() {
      return notInTheLab('a proxy');
    },
    way: wayIn(subnets),
    cutOff: (party) => lose(party),
    cutOneWay: (party, which) =>
      withOthers(party, (own, other) => (which === 'outgoing' ? dropFrom(other, own) : dropFrom(own, other))),
    async worsen(party, { loss = 0, ...others }) {
      if (Object.keys(others).length > 0) notInTheLab('a slow network');
      await lose(party, loss);
    },
    heal: async () => {
      await Promise.all(PARTIES.map((party) => takeAll(door(party))));
    },
  };
}
