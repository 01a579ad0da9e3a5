import { toHex, type Clock, type EdgeId, type Random } from '@antirio/kernel';
import { sleep, type Bus } from '@antirio/host';

/** Probes an edge on somebody's behalf, with fresh nonces that only a living edge can answer. */
export interface Witness {
  /** Whether the edge answered one of the probes. Questions about one edge at the same time share the probes. */
  ask(edgeId: EdgeId): Promise<boolean>;
  answered(from: EdgeId, nonce: string): void;
  /** Whether the edge was found dead within the last `withinMs`. */
  foundDead(edgeId: EdgeId, withinMs: number): boolean;
}

const PROBES = 3;
const PROBE_EVERY_MS = 40;
const PROBE_WAIT_MS = 120;
const EDGES_KEPT = 1000;

export function createWitness(bus: Bus, clock: Clock, random: Random): Witness {
  const waiting = new Map<string, { readonly nonce: string; answered: boolean }>();
  const underWay = new Map<string, Promise<boolean>>();
  const deadAt = new Map<string, number>();

  const probe = async (edgeId: EdgeId): Promise<boolean> => {
    const question = { nonce: toHex(random.bytes(8)), answered: false };
    waiting.set(edgeId, question);
    const datagram = JSON.stringify({ to: edgeId, kind: 'probe', body: { nonce: question.nonce } });
    const end = clock.monotonic() + (PROBES - 1) * PROBE_EVERY_MS + PROBE_WAIT_MS;
    for (let sent = 0; clock.monotonic() < end && !question.answered; sent++) {
      if (sent % (PROBE_EVERY_MS / 10) === 0 && sent / (PROBE_EVERY_MS / 10) < PROBES)
        await bus.publish('antirio/datagram/out', datagram);
      await sleep(10);
    }
    waiting.delete(edgeId);
    if (deadAt.size >= EDGES_KEPT) deadAt.clear();
    if (question.answered) deadAt.delete(edgeId);
    else deadAt.set(edgeId, clock.monotonic());
    return question.answered;
  };
  return {
    ask(edgeId) {
      const there = underWay.get(edgeId);
      if (there !== undefined) return there;
      const asked = probe(edgeId).finally(() => underWay.delete(edgeId));
      underWay.set(edgeId, asked);
      return asked;
    },
    answered(from, nonce) {
      const question = waiting.get(from);
      if (question?.nonce === nonce) question.answered = true;
    },
    foundDead: (edgeId, withinMs) => clock.monotonic() - (deadAt.get(edgeId) ?? -Infinity) <= withinMs,
  };
}
