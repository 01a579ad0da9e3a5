import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { signedWord } from '@antirio/service-contract';
import type { AlarmBoard } from './alarms.ts';
import type { Contracts } from './contracts.ts';
import { signedForce, type Operator } from './operator.ts';
import { whyDevice, type WhyPorts } from './why.ts';

const deviceParam = z.object({ device: z.string().regex(/^(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{16})$/) });
const idParam = z.object({ id: z.uuid() });
/** Who acts, in the operators' own words. */
const by = z.string().min(1).max(64).default('unnamed');
const handover = z.strictObject({ planned: z.literal(true), by });
const hold = z.strictObject({ held: z.boolean(), by });
/** `partly`: though our own ring does not take all of the contract's sensors. */
const fetching = z.strictObject({ by, partly: z.boolean().default(false) });
/** `full`: the service itself moves, by our word, and comes back. */
const drill = z.strictObject({ by, full: z.boolean().default(false) });
const giveBack = z.strictObject({ by, force: signedForce.optional() });
const takeOver = z.strictObject({ by, force: signedForce });

interface Asked {
  get(name: string): string | undefined;
}

/** @throws AntirioError forbidden where the call came from another edge. */
export function localOnly(request: Asked): void {
  if (request.get('x-antirio-peer') !== undefined)
    throw new AntirioError('forbidden', 'only the operator of this edge asks this');
}

export interface OperatorPorts {
  readonly operator: Operator;
  readonly contracts: Contracts;
  readonly why: WhyPorts;
  readonly alarms: AlarmBoard;
}

/** What people ask of their edge at night. */
export function addOperatorRoutes(rim: HttpRim, { operator, contracts, why, alarms }: OperatorPorts): void {
  rim.route(
    'get',
    '/arbitrator/v1/why/:device',
    { summary: 'who acts for a device (DevEUI or DevAddr), and on what evidence', params: deviceParam },
    ({ params, request }) => {
      localOnly(request);
      return whyDevice(why, params.device);
    },
  );
  rim.route('get', '/arbitrator/v1/alarm', { summary: 'what is wrong now' }, ({ request }) => {
    localOnly(request);
    return { alarms: alarms.all() };
  });
  const base = '/arbitrator/v1/operator/:id';
  rim.route(
    'post',
    `${base}/handover`,
    {
      summary: 'give the service to its provider, which reads first',
      params: idParam,
      body: handover,
      status: 202,
    },
    ({ params, body, request }) => {
      localOnly(request);
      return operator.handOver(params.id, body.by);
    },
  );
  rim.route(
    'post',
    `${base}/hold`,
    { summary: 'nothing is taken over, or comes back, by itself', params: idParam, body: hold },
    ({ params, body, request }) => {
      localOnly(request);
      return operator.hold(params.id, body.held, body.by);
    },
  );
  rim.route(
    'post',
    `${base}/drill`,
    { summary: 'a takeover without a failure', params: idParam, body: drill, status: 202 },
    ({ params, body, request }) => {
      localOnly(request);
      return operator.drill(params.id, body.by, body.full);
    },
  );
  rim.route(
    'post',
    `${base}/fetch`,
    {
      summary: 'fetch what the provider of our ended contract keeps: our disk was lost',
      params: idParam,
      body: fetching,
      status: 202,
    },
    ({ params, body, request }) => {
      localOnly(request);
      return contracts.refetches.begin(params.id, body.partly);
    },
  );
  rim.route(
    'get',
    '/arbitrator/v1/fetch',
    { summary: 'what is fetched so, and what came of it' },
    ({ request }) => {
      localOnly(request);
      return { contracts: contracts.refetches.all(), done: contracts.refetches.done() };
    },
  );
  rim.route(
    'get',
    `${base}/challenge`,
    { summary: 'what an operator key signs to confirm a forced act', params: idParam },
    ({ params, request }) => {
      localOnly(request);
      return operator.challenge(params.id);
    },
  );
  rim.route(
    'post',
    `${base}/return`,
    {
      summary: 'take the sensors back; forced with two confirmations',
      params: idParam,
      body: giveBack,
      status: 202,
    },
    ({ params, body, request }) => {
      localOnly(request);
      return operator.giveBack(params.id, body.by, body.force);
    },
  );
  rim.route(
    'post',
    `${base}/takeover`,
    { summary: 'take over without waiting for our detector', params: idParam, body: takeOver, status: 202 },
    ({ params, body, request }) => {
      localOnly(request);
      return operator.takeOver(params.id, body.by, body.force);
    },
  );
  rim.route(
    'post',
    '/arbitrator/v1/contract/:id/take-over',
    { summary: 'the customer’s signed word', params: idParam, body: signedWord, status: 202 },
    ({ params, body, request }) => {
      const { terms } = contracts.get(params.id);
      if (request.get('x-antirio-peer') !== terms.customer)
        throw new AntirioError('forbidden', 'only the customer gives its service away');
      return operator.heardWord(params.id, body);
    },
  );
}
