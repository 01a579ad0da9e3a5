import { z } from 'zod';
import { AntirioError, fromUtf8, toBase64, uuidV4, type Clock, type Random } from '@antirio/kernel';
import { parseInput, type Bus, type Subscription } from '@antirio/host';
import { parseDevAddr } from '@antirio/lorawan';
import { addressRange, type DeviceLoraOptions } from '../options.ts';
import type { JoinAuthority } from './join-server.ts';
import type { JoinedSession } from './store.ts';

export interface OwnAuthorityPorts {
  readonly options: DeviceLoraOptions;
  /** The ring takes the addresses of all sessions when this resolves. */
  readonly ensureRing: () => Promise<void>;
  /**
   * Has the session sealed for whoever would go on with the device, `until` at the latest (monotonic ms); never rejects. Without it
   * nobody would.
   */
  readonly seal?: ((joined: JoinedSession, until: number) => Promise<unknown>) | undefined;
}

/** Of the devices' own edge: every join is answered, once its session is heard and sealed. */
export function ownAuthority({ options, ensureRing, seal }: OwnAuthorityPorts): JoinAuthority {
  const leave = Promise.resolve({ range: addressRange(options) });
  return {
    ask: () => leave,
    keep: (joined, _onAir, until) => Promise.all([ensureRing(), seal?.(joined, until)]),
  };
}

const address = z
  .string()
  .regex(/^[0-9a-f]{8}$/)
  .transform(parseDevAddr);
const answered = z.object({
  requestId: z.string(),
  /** Why not; nothing where it is granted, or kept. */
  refused: z.string().max(200).optional(),
});
const granted = answered.extend({
  range: z.object({ first: address, last: address }).optional(),
  slot: z.int().min(0).max(3).optional(),
  above: z.int().min(0).max(0xff_ffff).optional(),
});
type Granted = z.output<typeof granted>;

export interface StandInPorts {
  readonly bus: Bus;
  readonly prefix: string;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  /** How long an answer to the first question is waited for (default 1 s). */
  readonly askMs?: number;
}

const ASK_MS = 1000;

/** The arbitrator of the edge that a service stands in at says which joins are answered, and keeps what is. */
export async function openStandIn(ports: StandInPorts): Promise<JoinAuthority & { close(): Promise<void> }> {
  const { bus, prefix, clock, random } = ports;
  const waiting = new Map<string, (answer: Granted) => void>();
  const onAnswer = (_topic: string, payload: Uint8Array): void => {
    const answer = parseInput(granted, JSON.parse(fromUtf8(payload)));
    waiting.get(answer.requestId)?.(answer);
  };
  const subscription: Subscription = await bus.subscribe(`${prefix}antirio/join/answer`, onAnswer);
  const ask = async (what: 'ask' | 'keep', about: object, withinMs: number): Promise<Granted> => {
    const requestId = uuidV4(random);
    const answer = Promise.withResolvers<Granted>();
    const timer = setTimeout(
      () => {
        answer.reject(
          new AntirioError('timeout', 'the arbitrator does not say whether a join is to be answered'),
        );
      },
      Math.max(0, withinMs),
    );
    waiting.set(requestId, answer.resolve);
    try {
      await bus.publish(`${prefix}antirio/join/${what}`, JSON.stringify({ requestId, ...about }));
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(requestId);
    }
  };
  return {
    async ask({ devEui, devNonce }) {
      const { refused, range, slot, above } = await ask('ask', { devEui, devNonce }, ports.askMs ?? ASK_MS);
      if (refused !== undefined || range === undefined) return undefined;
      return { range, slot, above };
    },
    async keep({ devAddr, joinNonce }, { joinRequest, joinAccept }, until) {
      const onAir = { joinRequest: toBase64(joinRequest), joinAccept: toBase64(joinAccept) };
      const { refused } = await ask('keep', { devAddr, joinNonce, ...onAir }, until - clock.monotonic());
      if (refused !== undefined) throw new AntirioError('forbidden', `the join is not kept: ${refused}`);
    },
    close: () => subscription.close(),
  };
}
