import { z } from 'zod';
import { parseInput, type Bus, type HttpRim, type Log } from '@antirio/host';
import { describeError, fromBase64, fromUtf8, type Clock } from '@antirio/kernel';
import { parseJoinRequest } from '@antirio/lorawan';
import { areJoinsUsedUp, leads, type ContractTerms, type ProtectedDevice } from '@antirio/service-contract';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { airedJoin, canBeAccept, JOINS_AT_ONCE, keptJoins, numberAfter } from './join-records.ts';
import type { PartyDriver } from './party-driver.ts';

const hexOf = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** As a provider keeps it. What is beside the bytes is its guest's word. */
const answeredJoin = airedJoin.extend({
  devEui: hexOf(8),
  devNonce: z.int(),
  devAddr: hexOf(4),
  joinNonce: z.int().min(0).max(0xff_ffff),
});
export type AnsweredJoin = z.output<typeof answeredJoin>;

const requestId = z.string().min(1).max(64);
const asking = z.object({ requestId, devEui: hexOf(8), devNonce: z.int().min(0).max(0xffff) });
const keeping = answeredJoin
  .pick({ devAddr: true, joinNonce: true, joinRequest: true, joinAccept: true })
  .extend({ requestId });

const KIND = 'join';

type Driver = Pick<PartyDriver, 'terms' | 'role' | 'phase' | 'desires' | 'post'>;

/** Where the guests of customers ask whether a join is to be answered, and have it kept before it is. */
export interface JoinDesk {
  readonly onAsk: (topic: string, payload: Uint8Array) => Promise<void>;
  readonly onKeep: (topic: string, payload: Uint8Array) => Promise<void>;
  /** Those that were answered, or were about to be, in their order. */
  readonly joinsOf: (contractId: string) => readonly AnsweredJoin[];
  /** The number of the last one; 0 where there is none. */
  readonly last: (contractId: string) => number;
  readonly leave: (contractId: string) => void;
}

export interface JoinDeskPorts {
  readonly bus: Bus;
  readonly store: Pick<ContractStore, 'document' | 'documents' | 'putDocuments' | 'forgetDocument'>;
  readonly drivers: ReadonlyMap<string, Driver>;
  readonly addresses: (terms: ContractTerms) => readonly ProtectedDevice[];
  /** The contract's ring takes the addresses of its joins, durably. */
  readonly cover: (terms: ContractTerms) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

export function createJoinDesk(ports: JoinDeskPorts): JoinDesk {
  const { bus, store, drivers, clock, log } = ports;
  const kept = keptJoins(store, KIND, answeredJoin);

  /** Why no join of the device is answered here now. */
  const refusal = (driver: Driver | undefined, devEui: string, devNonce: number): string | undefined => {
    if (driver?.role !== 'provider' || driver.terms.rootKeys !== true)
      return 'the contract gives no root keys';
    const { terms } = driver;
    const { fence } = driver.desires();
    const phase = driver.phase();
    const acts = phase.at === 'active' && fence.state === 'open' && leads(driver, drivers.values());
    if (!acts) return 'this edge does not act for the device';
    if (!terms.set.devices.some((one) => one.devEui === devEui)) return 'no device of the set';
    const before = kept.all(terms.contractId);
    if (before.some((one) => one.devEui === devEui && one.devNonce === devNonce))
      return 'its DevNonce was used';
    return areJoinsUsedUp(before, { epoch: fence.epoch, devEui }) ? 'too many joins' : undefined;
  };
  const addressProblem = ({ set, devAddrRange }: ContractTerms, devAddr: string): string | undefined => {
    if (devAddrRange === undefined || devAddr < devAddrRange.first || devAddr > devAddrRange.last)
      return 'the address is not in the contract’s devAddrRange';
    const isTaken = [...drivers.values()].some(
      ({ terms }) =>
        terms.set.setId !== set.setId && ports.addresses(terms).some((one) => one.devAddr === devAddr),
    );
    return isTaken ? 'another set has the address' : undefined;
  };
  const keep = (driver: Driver, told: z.output<typeof keeping>): string | undefined => {
    const { terms } = driver;
    const { devEui, devNonce } = parseJoinRequest(fromBase64(told.joinRequest));
    if (!canBeAccept(told.joinAccept)) return 'no JoinAccept';
    const { fence } = driver.desires();
    const problem = refusal(driver, devEui, devNonce) ?? addressProblem(terms, told.devAddr);
    if (problem !== undefined || fence.state !== 'open')
      return problem ?? 'this edge does not act for the device';
    const { requestId: _id, ...about } = told;
    const at = clock.now();
    const n = numberAfter(kept.last(terms.contractId), at);
    kept.add(terms.contractId, [{ n, epoch: fence.epoch, at, devEui, devNonce, ...about }]);
    return undefined;
  };
  const answer = async (contractId: string, json: object): Promise<void> => {
    await bus.publish(`contract/${contractId}/antirio/join/answer`, JSON.stringify(json));
  };
  const contractOf = (topic: string): string => topic.split('/')[1] ?? '';
  return {
    async onAsk(topic, payload) {
      const contractId = contractOf(topic);
      const { requestId: id, devEui, devNonce } = parseInput(asking, JSON.parse(fromUtf8(payload)));
      const driver = drivers.get(contractId);
      const refused = refusal(driver, devEui, devNonce);
      if (refused !== undefined || driver === undefined) {
        await answer(contractId, { requestId: id, refused });
        return;
      }
      const { slots, devAddrRange: range } = driver.terms;
      const used = kept.all(contractId).filter((one) => one.devEui === devEui);
      const above = Math.max(0, ...used.map(({ joinNonce }) => joinNonce));
      await answer(contractId, { requestId: id, range, slot: slots.provider, above });
    },
    async onKeep(topic, payload) {
      const contractId = contractOf(topic);
      const told = parseInput(keeping, JSON.parse(fromUtf8(payload)));
      const driver = drivers.get(contractId);
      const { requestId: id } = told;
      try {
        const refused = driver === undefined ? 'no such contract' : keep(driver, told);
        if (driver === undefined || refused !== undefined) {
          await answer(contractId, { requestId: id, refused });
          return;
        }
        // the device may send with the address as soon as it is answered
        await ports.cover(driver.terms);
        // the fence has to know it before a downlink can pass
        driver.post({ type: 'tick' });
        await answer(contractId, { requestId: id });
      } catch (error) {
        log.warn({ contract: contractId, error: describeError(error) }, 'a join is not kept');
        await answer(contractId, { requestId: id, refused: 'it could not be kept' });
      }
    },
    joinsOf: kept.all,
    last: kept.last,
    leave: kept.forget,
  };
}

/** The customer brings them home. */
export function addJoinDeskRoute(
  rim: HttpRim,
  desk: Pick<JoinDesk, 'joinsOf' | 'last'>,
  /** @throws AntirioError forbidden where the asker is not the contract's customer, or we not its provider */
  fromCustomer: (contractId: string, request: { get(name: string): string | undefined }) => StoredContract,
): void {
  const params = z.object({ id: z.uuid() });
  const query = z.object({ after: z.coerce.number().int().min(0).default(0) });
  const about = {
    summary: 'joins that our guest answered in the place of the devices’ own edge',
    params,
    query,
  };
  rim.route(
    'get',
    '/arbitrator/v1/contract/:id/joins',
    about,
    ({ params: { id }, query: { after }, request }) => {
      const { contractId } = fromCustomer(id, request).terms;
      const joins = desk
        .joinsOf(contractId)
        .filter(({ n }) => n > after)
        .slice(0, JOINS_AT_ONCE)
        .map(({ n, epoch, at, joinRequest, joinAccept }) => ({ n, epoch, at, joinRequest, joinAccept }));
      return { total: desk.last(contractId), joins };
    },
  );
}
