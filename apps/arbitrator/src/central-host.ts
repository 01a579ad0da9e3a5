import { toHex, type Clock, type EdgeId, type Random } from '@antirio/kernel';
import type { Bus, Log } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import {
  centralStep,
  createCentral,
  type CentralAnswer,
  type CentralEffect,
  type CentralEvent,
  type CentralQuestion,
  type CentralState,
  type Datagram,
  type Submission,
} from '@antirio/service-contract';
import type { GrantorStore } from './grantor-store.ts';

/** The central arbitrator's machine with its clock, its disk and its hands. */
export interface CentralHost {
  state(): CentralState;
  post(event: CentralEvent): void;
  /** Asks the machine; `submit` brings what it decides to the ledger and must not give up before the outcome is known. */
  ask(
    question: CentralQuestion,
    submit: (submission: Submission) => Promise<unknown>,
  ): Promise<CentralAnswer>;
  stop(): void;
}

export interface CentralHostPorts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly store: GrantorStore;
  /** In whose name counter blocks are kept: that of the set's customer. */
  readonly customerOf: (setId: string) => Promise<EdgeId>;
}

interface Asker {
  readonly resolve: (answer: CentralAnswer) => void;
  readonly reject: (error: unknown) => void;
  readonly submit: (submission: Submission) => Promise<unknown>;
  failure?: unknown;
}

const TICK_MS = 10;

export function runCentral({ bus, clock, random, log, store, customerOf }: CentralHostPorts): CentralHost {
  const fresh = (): string => toHex(random.bytes(8));
  let state = createCentral(fresh(), clock.monotonic());
  let asked = 0;
  const askers = new Map<string, Asker>();

  const run = (what: string, work: () => Promise<void>): void => {
    work().catch((error: unknown) => {
      log.warn({ error: describeError(error) }, `${what} failed`);
    });
  };
  const send = (to: EdgeId, datagram: Datagram): Promise<void> =>
    bus.publish('antirio/datagram/out', JSON.stringify({ to, ...datagram }));

  const submit = async (id: string, submission: Submission): Promise<void> => {
    const asker = askers.get(id);
    if (asker === undefined) return;
    try {
      await asker.submit(submission);
      post({ type: 'recorded', id, ok: true });
    } catch (error) {
      asker.failure = error;
      post({ type: 'recorded', id, ok: false });
    }
  };
  const answer = (id: string, given: CentralAnswer): void => {
    const asker = askers.get(id);
    askers.delete(id);
    if (given.kind === 'failed') asker?.reject(asker.failure);
    else asker?.resolve(given);
  };
  const grant = async ({ to, body, reserve }: Extract<CentralEffect, { type: 'grant' }>): Promise<void> => {
    const blocks = reserve.length === 0 ? [] : store.reserve(await customerOf(body.setId), reserve);
    await send(to, { kind: 'leaseGrant', body: { ...body, blocks } });
  };
  const execute = (effect: CentralEffect): void => {
    switch (effect.type) {
      case 'send':
        run('sending', () => send(effect.to, effect.datagram));
        return;
      case 'grant':
        run('granting a lease', () => grant(effect));
        return;
      case 'submit':
        run('submitting', () => submit(effect.id, effect.submission));
        return;
      case 'answer':
        answer(effect.id, effect.answer);
    }
  };
  const post = (event: CentralEvent): void => {
    const [next, effects] = centralStep(state, event, { now: clock.monotonic(), nonce: fresh });
    state = next;
    effects.forEach(execute);
  };
  const ticking = setInterval(() => {
    post({ type: 'tick' });
  }, TICK_MS);

  return {
    state: () => state,
    post,
    ask: (question, submitTo) =>
      new Promise((resolve, reject) => {
        const id = String((asked += 1));
        askers.set(id, { resolve, reject, submit: submitTo });
        post({ type: 'asked', id, question });
      }),
    stop: () => {
      clearInterval(ticking);
    },
  };
}
