import { DemoError } from '@antirio/demo';
import { TITLES, waitFor, type Network, type PartyName, type PartyNode } from '@antirio/demo/scenes';
import { docker } from '@antirio/edge-image';
import { wayIn } from './lab-files.ts';
import { originsOf, urlOf, type LabState } from './lab-state.ts';

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
  const all = async (what: 'start' | 'kill' | 'stop'): Promise<void> => {
    // The engine's client starts them one after the other; a machine that is switched on does not.
    await Promise.all(own.map((id) => docker([what, id])));
  };
  return {
    ...{ party, title: TITLES[party], edgeId, offset, folder: `${project}_${party}`, pid: undefined, url },
    start: () => all('start'),
    kill: () => all('kill'),
    terminate: () => all('stop'),
    freeze: () => notInTheLab('a frozen edge'),
    thaw: () => notInTheLab('a frozen edge'),
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

/** The network between the parties: that of the engine. */
export function labNetwork({ subnets }: LabState): Network {
  const cut = (): never => notInTheLab('a cut network');
  return {
    get tool() {
      return cut();
    },
    way: wayIn(subnets),
    ...{ cutOff: cut, cutOneWay: cut, worsen: cut, heal: cut },
  };
}
