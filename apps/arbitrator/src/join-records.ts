import { z } from 'zod';
import { bytesOrNone, toHex } from '@antirio/kernel';
import { parseAppKey, sessionOfJoin, type AppKey, type DevEui, type EvidentJoin } from '@antirio/lorawan';
import type { DevAddrRange } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { RootKey, Secrets } from './sealed-keys.ts';

const onAir = z.string().max(64);
/** A JoinAccept without and with a CFList. */
const ACCEPTS: readonly number[] = [17, 33];

/** A join that a provider answered, as it was on air: nothing of it is secret, and with the root key it is all that there is to know. */
export const airedJoin = z.object({
  /** Rises with each of a contract. */
  n: z.int().min(1),
  epoch: z.int().min(1),
  /** Wall ms of the provider. */
  at: z.number().min(0),
  joinRequest: onAir,
  joinAccept: onAir,
});
export type AiredJoin = z.output<typeof airedJoin>;

/** Whether it has the length of a JoinAccept; more cannot be said without the key. */
export function canBeAccept(text: string): boolean {
  return ACCEPTS.includes(bytesOrNone(text).length);
}

/**
 * The number after that of `last`: with the provider's wall clock (ms), so that one whose disk came back old gives none again which its
 * customer knows as another join.
 */
export function numberAfter(last: number, now: number): number {
  return Math.max(last + 1, Math.floor(now / 1000));
}

/** In one answer. */
export const JOINS_AT_ONCE = 200;

type Documents = Pick<ContractStore, 'document' | 'documents' | 'putDocuments' | 'forgetDocument'>;

/** Joins of contracts under one name, as they are kept beside these; read once. */
export function keptJoins<J extends AiredJoin>(store: Documents, kind: string, schema: z.ZodType<J>) {
  const known = new Map<string, readonly J[]>();
  const nameOf = ({ n }: Pick<J, 'n'>): string => `${kind}/${String(n).padStart(8, '0')}`;
  const all = (contractId: string): readonly J[] => {
    const found =
      known.get(contractId) ??
      [...store.documents(contractId, kind).values()]
        .flatMap((one) => schema.safeParse(one).data ?? [])
        .toSorted((a, b) => a.n - b.n);
    known.set(contractId, found);
    return found;
  };
  return {
    /** In the order of their numbers. */
    all,
    /** The number of the last one; 0 where there is none. */
    last: (contractId: string): number => all(contractId).at(-1)?.n ?? 0,
    /** With what else is to be written with them; durable when it returns. */
    add(contractId: string, joins: readonly J[], beside: readonly (readonly [string, unknown])[] = []): void {
      const before = all(contractId);
      store.putDocuments(contractId, [...joins.map((one) => [nameOf(one), one] as const), ...beside]);
      known.set(contractId, [...before, ...joins]);
    },
    forget: (contractId: string): void => {
      for (const one of all(contractId)) store.forgetDocument(contractId, nameOf(one));
      known.delete(contractId);
    },
  };
}

function keyOf({ appKey, nwkKey }: RootKey): AppKey | undefined {
  const text = appKey ?? nwkKey;
  return text === undefined ? undefined : parseAppKey(text);
}

/** Of these joins those that verify, and gave an address that they may. */
function* evident(
  rootKeys: readonly RootKey[],
  range: DevAddrRange,
  joins: readonly AiredJoin[],
): Generator<EvidentJoin> {
  const keys = new Map(rootKeys.map((one) => [one.devEui.toLowerCase(), keyOf(one)]));
  const rootKeyOf = (devEui: DevEui): AppKey | undefined => keys.get(devEui);
  for (const { joinRequest, joinAccept } of joins) {
    const aired = { joinRequest: bytesOrNone(joinRequest), joinAccept: bytesOrNone(joinAccept) };
    const join = sessionOfJoin(aired, rootKeyOf);
    if (typeof join !== 'string' && join.devAddr >= range.first && join.devAddr <= range.last) yield join;
  }
}

/** Keys with the sessions of joins that a provider answered, which both sides derive of the same bytes. */
export function withJoins(
  {
    rootKeys,
    devAddrRange,
  }: { readonly rootKeys?: true | undefined; readonly devAddrRange?: DevAddrRange | undefined },
  secrets: Secrets,
  joins: readonly AiredJoin[],
): Secrets {
  if (rootKeys !== true || devAddrRange === undefined || joins.length === 0) return secrets;
  const made = [...evident(secrets.rootKeys ?? [], devAddrRange, joins)].map(
    ({ devEui, devAddr, nwkSKey, appSKey }) => ({
      ...{ devEui, devAddr },
      ...{ nwkSKey: toHex(nwkSKey), appSKey: toHex(appSKey) },
    }),
  );
  const named = new Set(
    secrets.sessions.map(({ devAddr, nwkSKey }) => `${devAddr}/${nwkSKey}`.toLowerCase()),
  );
  const added = made.filter(({ devAddr, nwkSKey }) => !named.has(`${devAddr}/${nwkSKey}`));
  return { ...secrets, sessions: [...secrets.sessions, ...added] };
}
