import type { z } from 'zod';
import { parseInput, type Bus, type Log, type Subscription } from '@antirio/host';
import { describeError, fromUtf8, uuidV4, type Random } from '@antirio/kernel';

/** Questions to guests about their devices, over the bus: `contract/<id>/antirio/<about>/asked`, answered on `.../told`. */
export interface GuestQuestions<T> {
  /** Undefined where it does not answer in time. */
  ask(contractId: string, query: object, withinMs: number): Promise<T | undefined>;
  close(): Promise<void>;
}

export interface GuestQuestionPorts {
  readonly bus: Bus;
  readonly random: Random;
  readonly log: Log;
}

export function createGuestQuestions<T extends { readonly requestId: string }>(
  { bus, random, log }: GuestQuestionPorts,
  about: 'mac' | 'downlink',
  told: z.ZodType<T>,
): GuestQuestions<T> {
  const waiting = new Map<string, (answer: T) => void>();
  let subscription: Promise<Subscription> | undefined;
  const onTold = (topic: string, payload: Uint8Array): void => {
    try {
      const answer = parseInput(told, JSON.parse(fromUtf8(payload)));
      // a guest answers for itself alone
      const name = `${topic.split('/')[1] ?? ''}/${answer.requestId}`;
      waiting.get(name)?.(answer);
    } catch (error) {
      log.debug({ error: describeError(error) }, 'what a guest says of its devices is not understood');
    }
  };
  /** Once; a broker that was away is tried again with the next question. */
  const listen = async (): Promise<void> => {
    const listening = (subscription ??= bus.subscribe(`contract/+/antirio/${about}/told`, onTold));
    try {
      await listening;
    } catch (error) {
      if (subscription === listening) subscription = undefined;
      throw error;
    }
  };
  return {
    async ask(contractId, query, withinMs) {
      await listen();
      const requestId = uuidV4(random);
      const name = `${contractId}/${requestId}`;
      const answered = Promise.withResolvers<T | undefined>();
      const timer = setTimeout(() => {
        answered.resolve(undefined);
      }, withinMs);
      waiting.set(name, (answer) => {
        answered.resolve(answer);
      });
      try {
        await bus.publish(
          `contract/${contractId}/antirio/${about}/asked`,
          JSON.stringify({ ...query, requestId }),
        );
        return await answered.promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(name);
      }
    },
    close: async () => (await subscription)?.close(),
  };
}
