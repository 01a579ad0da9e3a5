import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { AntirioError, errorCodes, type ErrorCode } from '@antirio/kernel';
import { keys } from '@antirio/ledger-machine';
import { encryptedDownlink } from '@antirio/lorawan';
import type { ContractTerms } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { createGuestQuestions, type GuestQuestionPorts } from './guest-questions.ts';
import type { LedgerClient } from './ledger-client.ts';

/** The guest itself waits 2 s for a block of counters. */
const ANSWER_MS = 5000;

const told = z.looseObject({
  requestId: z.string(),
  counter: z.unknown().optional(),
  downlink: z.unknown().optional(),
  error: z.object({ code: z.string(), message: z.string().max(1000) }).optional(),
});

const devEui = z.string().regex(/^[0-9a-f]{16}$/);
const params = z.object({ id: z.uuid() });
const counter = z.strictObject({ devEui, requestId: z.string().min(1).max(64) });
const encrypted = z.strictObject({ devEui, ...encryptedDownlink.shape });
const { session, fCntDown } = encryptedDownlink.shape;
const which = z.object({ devEui, session, fCntDown: z.coerce.number().pipe(fCntDown) });

interface Wanted {
  readonly want: 'counter' | 'queue' | 'state';
  readonly devEui: string;
  readonly [more: string]: unknown;
}

interface Asked {
  get(name: string): string | undefined;
}

export interface DownlinkRoutePorts extends GuestQuestionPorts {
  readonly store: Pick<ContractStore, 'get'>;
  readonly ledger: Pick<LedgerClient, 'fetch' | 'time'>;
  /** What a contract's machine does now. */
  readonly phaseOf: (contractId: string) => { readonly at: string } | undefined;
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorCodes, code);

/** Whether an edge asks as a contract's customer, or as the arbitrator that this has appointed to speak for it. */
type MayAsk = (terms: ContractTerms, peer: string) => boolean | Promise<boolean>;

/**
 * What whoever has the AppSKey of a customer's devices asks of the provider that serves them: to name a counter, and to send what was
 * encrypted for it. The contract's customer asks one way; who speaks for it, which is no party, asks the other.
 */
export function addDownlinkRoutes(rim: HttpRim, ports: DownlinkRoutePorts): { close(): Promise<void> } {
  const { store, ledger, phaseOf } = ports;
  const questions = createGuestQuestions(ports, 'downlink', told);

  const isCustomer: MayAsk = ({ customer }, peer) => peer === customer;
  const speaksFor: MayAsk = async ({ customer }, peer) => {
    const appointed = await ledger.fetch(keys.speaker(customer));
    return appointed?.speaker === peer && (await ledger.time()) < appointed.until;
  };
  const check = async (
    id: string,
    peer: string,
    mayAsk: MayAsk,
    { devEui: device, want }: Wanted,
  ): Promise<void> => {
    const contract = store.get(id);
    if (contract?.role !== 'provider' || peer === '' || !(await mayAsk(contract.terms, peer)))
      throw new AntirioError('forbidden', 'only its customer asks this of a provider, or who speaks for it');
    if (!contract.terms.set.devices.some((one) => one.devEui === device))
      throw new AntirioError('invalidInput', `device ${device} is not of the contract`);
    const at = phaseOf(id)?.at ?? 'signing';
    if (at !== 'active' && want !== 'state')
      throw new AntirioError(
        'conflict',
        `this edge does not act for ${device} now: the contract is ${at} here`,
      );
  };
  const ways = [
    ['/arbitrator/v1/contract/:id/downlink', isCustomer],
    ['/arbitrator/v1/speaker/:id/downlink', speaksFor],
  ] as const;
  for (const [base, mayAsk] of ways) {
    const ask = async (id: string, request: Asked, query: Wanted): Promise<object> => {
      await check(id, request.get('x-antirio-peer') ?? '', mayAsk, query);
      const answer = await questions.ask(id, query, ANSWER_MS);
      if (answer === undefined)
        throw new AntirioError(
          'unavailable',
          'the service of this contract does not answer: is it older than this?',
        );
      const { error, requestId: _, ...rest } = answer;
      if (error === undefined) return rest;
      throw new AntirioError(isErrorCode(error.code) ? error.code : 'unavailable', error.message);
    };
    const naming = { summary: 'names a downlink counter to encrypt a payload for', params, body: counter };
    rim.route('post', `${base}/counter`, naming, ({ params: { id }, body, request }) =>
      ask(id, request, { want: 'counter', devEui: body.devEui, key: body.requestId }),
    );
    const queueing = {
      summary: 'queues a downlink that was encrypted for it',
      params,
      body: encrypted,
      status: 202,
    };
    rim.route('post', base, queueing, ({ params: { id }, body, request }) => {
      const { devEui: device, ...downlink } = body;
      return ask(id, request, { want: 'queue', devEui: device, downlink });
    });
    const showing = { summary: 'what became of it', params, query: which };
    rim.route('get', base, showing, ({ params: { id }, query, request }) =>
      ask(id, request, { want: 'state', ...query }),
    );
  }
  return questions;
}
