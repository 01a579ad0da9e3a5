import type { Host } from './host.ts';
import type { CallResult, Network, Reply } from './network.ts';

export interface CentreWayPorts {
  readonly host: Host;
  readonly centralHost: Host;
  readonly network: Network;
}

/** What is asked of the other edge, which way ever. */
export type AskEither = <T>(to: Host, serve: (reply: Reply<T>) => void, done: Reply<T>) => void;

const WITHIN_MS = 3000;
const DIRECT_MS = 1500;
const CARRIED_MS = 2500;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PROBE_PAUSE_MS = 15_000;
const LONGEST_REST_MS = 5000;

const isUnreached = (answer: CallResult<unknown>): boolean =>
  !answer.ok && (answer.code === 'timeout' || answer.code === 'unavailable');

/**
 * As edge2edge asks for what may go either way: the other edge itself, and where that gives no answer by way of the centre, until it has
 * answered a probe. All of it is memory of the process.
 */
export function createCentreWay({ host, centralHost, network }: CentreWayPorts): AskEither {
  let life = -1;
  let blocked = false;
  let probes = 0;
  let probeAt = 0;
  let rests = 0;
  let restUntil = 0;

  const pause = (failures: number, longest: number): number =>
    host.clock.monotonic() + Math.min(longest, FIRST_PAUSE_MS * 2 ** failures);
  const reached = (): void => {
    [blocked, probes, rests, restUntil] = [false, 0, 0, 0];
  };
  const block = (): void => {
    blocked = true;
    probeAt = pause(probes++, LONGEST_PROBE_PAUSE_MS);
  };
  const probeIfDue = (to: Host): void => {
    if (host.clock.monotonic() < probeAt) return;
    probeAt = pause(probes++, LONGEST_PROBE_PAUSE_MS);
    const answer = (reply: Reply<undefined>): void => {
      reply({ ok: true, value: undefined });
    };
    network.call<undefined>(host, to, DIRECT_MS, answer, ({ ok }) => {
      if (ok) reached();
    });
  };
  const carried = <T>(to: Host, withinMs: number, serve: (reply: Reply<T>) => void, done: Reply<T>): void => {
    const pass = (reply: Reply<T>): void => {
      network.call<T>(centralHost, to, Math.min(withinMs, CARRIED_MS), serve, reply);
    };
    network.call<T>(host, centralHost, withinMs, pass, (answer) => {
      if (answer.ok) [rests, restUntil] = [0, 0];
      else restUntil = pause(rests++, LONGEST_REST_MS);
      done(answer);
    });
  };
  const direct = <T>(to: Host, withinMs: number, serve: (reply: Reply<T>) => void, done: Reply<T>): void => {
    network.call<T>(host, to, withinMs, serve, (answer) => {
      if (answer.ok) reached();
      done(answer);
    });
  };
  return (to, serve, done) => {
    if (life !== host.incarnation) reached();
    life = host.incarnation;
    if (blocked) {
      probeIfDue(to);
      if (host.clock.monotonic() < restUntil) direct(to, WITHIN_MS, serve, done);
      else carried(to, WITHIN_MS, serve, done);
      return;
    }
    direct(to, DIRECT_MS, serve, (answer) => {
      if (!isUnreached(answer)) {
        done(answer);
        return;
      }
      block();
      carried(to, WITHIN_MS - DIRECT_MS, serve, done);
    });
  };
}
