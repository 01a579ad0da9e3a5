import { z } from 'zod';
import { callJson, type HttpPeer, type HttpRim } from '@antirio/host';
import { AntirioError, fromHex, sha256Hex, verifyDocument, type Clock, type EdgeId } from '@antirio/kernel';
import { airtimeUs } from '@antirio/lorawan';
import {
  LENT_DOWNLINK_KIND,
  downlinkShare,
  hasTimeForDrills,
  lentWindow,
  signedLoan,
  type ContractTerms,
  type SignedLoan,
} from '@antirio/service-contract';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { shareName } from './downlink-shares.ts';
import type { LentCounts } from './lent-counts.ts';

/** What our gateways send for one customer in drills: it keeps a part of our time on air. */
const MOST_AN_HOUR = 64;
/** Of the 36 s that most bands have. */
const MOST_AIRTIME_MS = 10_000;
const HOUR_MS = 3_600_000;
/** Results in one call. */
export const SHARES_AT_ONCE = 200;
/** The newest frame that we were lent: that we were allowed to send it. */
const EVIDENCE = 'lentDownlink';

const params = z.object({ id: z.uuid() });
const phyPayload = z.string().regex(/^(?:[0-9a-f]{2}){12,255}$/);
const asked = z.strictObject({ uplink: phyPayload });
const lent = z.strictObject({
  loan: signedLoan,
  phyPayload,
  windows: z.array(lentWindow).min(1).max(4),
});
const results = z.strictObject({ shares: z.array(downlinkShare).max(SHARES_AT_ONCE) });

interface Asked {
  get(name: string): string | undefined;
}

export interface LentRoutes {
  readonly bridge: HttpPeer;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly store: Pick<ContractStore, 'putDocument' | 'putDocuments'>;
  readonly counts: LentCounts;
  readonly phaseOf: (contractId: string) => string | undefined;
  /** @throws AntirioError forbidden where the asker is not the contract's customer, or we not its provider */
  readonly fromCustomer: (contractId: string, request: Asked) => StoredContract;
}

/** @throws AntirioError unauthenticated, invalidInput */
function checkLoan({ contractId, customer, set }: ContractTerms, loan: SignedLoan, frame: string): void {
  const { by, body } = loan;
  const isOurs = by === customer && body.contractId === contractId && body.setId === set.setId;
  if (!isOurs || !verifyDocument(loan, LENT_DOWNLINK_KIND))
    throw new AntirioError('unauthenticated', 'the customer has not lent this downlink');
  if (sha256Hex(fromHex(frame, frame.length / 2)) !== body.hash)
    throw new AntirioError('invalidInput', 'another downlink than the one that was lent');
}

/** So much an hour for each customer. */
function createQuota({ monotonic }: Pick<Clock, 'monotonic'>, most: number) {
  const taken = new Map<EdgeId, { readonly at: number; readonly amount: number }[]>();
  return (customer: EdgeId, amount: number): boolean => {
    const since = monotonic() - HOUR_MS;
    const recent = (taken.get(customer) ?? []).filter(({ at }) => at > since);
    const used = recent.reduce((sum, one) => sum + one.amount, 0);
    if (used + amount > most) return false;
    taken.set(customer, [...recent, { at: monotonic(), amount }]);
    return true;
  };
}

/** In the slowest of the windows. */
function airtimeMsOf(frame: string, windows: z.output<typeof lent>['windows']): number {
  const options = { crc: true, codingRate: 1 } as const;
  return Math.max(...windows.map((window) => airtimeUs(window, frame.length / 2, options) / 1000));
}

/** What a customer asks of its provider's gateways to see whether its sensors hear them. */
export function addLentRoutes(rim: HttpRim, ports: LentRoutes): void {
  const { bridge, store, counts, phaseOf, fromCustomer, clock } = ports;
  const mayTake = createQuota(clock, MOST_AN_HOUR);
  const mayBeOnAir = createQuota(clock, MOST_AIRTIME_MS);
  const base = '/arbitrator/v1/contract/:id/lent';
  const refuseMore = (): never => {
    counts.add('overQuota');
    throw new AntirioError('busy', 'enough drill downlinks for this hour');
  };
  const standing = (id: string, request: Asked): ContractTerms => {
    const { terms } = fromCustomer(id, request);
    if (terms.downlinkDrills.motes === 0)
      throw new AntirioError('forbidden', 'the terms of this contract know no drill downlinks');
    if (!hasTimeForDrills('provider', phaseOf(id) ?? ''))
      throw new AntirioError('conflict', 'no drills beside a takeover');
    return terms;
  };
  const offer = { summary: 'the windows of an uplink, for a drill downlink', params, body: asked };
  rim.route('post', `${base}/offer`, offer, ({ params: { id }, body, request }) => {
    const { customer } = standing(id, request);
    if (!mayTake(customer, 1)) refuseMore();
    const json = { phyPayload: body.uplink };
    return callJson(bridge, { method: 'POST', path: `/api/v3/ring/${id}/lent/offer`, json });
  });
  const send = { summary: 'send a drill downlink of the customer’s', params, body: lent };
  rim.route('post', `${base}/send`, send, async ({ params: { id }, body, request }) => {
    const terms = standing(id, request);
    const { loan, windows } = body;
    checkLoan(terms, loan, body.phyPayload);
    if (!mayBeOnAir(terms.customer, airtimeMsOf(body.phyPayload, windows))) refuseMore();
    store.putDocument(id, EVIDENCE, loan);
    const { offer: name, epoch, fcnt } = loan.body;
    const slot = terms.slots.customer;
    const json = { offer: name, epoch, slot, fcnt, phyPayload: body.phyPayload, windows };
    const outcome = await callJson(bridge, {
      method: 'POST',
      path: `/api/v3/ring/${id}/lent/send`,
      json,
    });
    counts.add((outcome as { status?: unknown }).status === 'OK' ? 'sentForCustomer' : 'notSentForCustomer');
    return outcome;
  });
  const result = {
    summary: 'what the customer’s sensors answered to drill downlinks',
    params,
    body: results,
  };
  rim.route('post', `${base}/result`, result, ({ params: { id }, body, request }) => {
    const { set } = fromCustomer(id, request).terms;
    const ofSet = new Set(set.devices.map(({ devEui }) => devEui));
    if (!body.shares.every(({ devEui }) => ofSet.has(devEui)))
      throw new AntirioError('invalidInput', 'these devices are not of the contract');
    store.putDocuments(
      id,
      body.shares.map((share) => [shareName(share.devEui), share] as const),
    );
    return { kept: body.shares.length };
  });
}
