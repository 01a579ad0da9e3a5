import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { AntirioError, describeError, parseEdgeId, type EdgeId } from '@antirio/kernel';
import type { LedgerClient } from '@antirio/ledger-http';
import type { AddressBook, BookEntry } from './address-book.ts';
import { createBriefCache } from './brief-cache.ts';
import { peerUrl, sealKey, udpAddress, type Edge2EdgeOptions, type Edge2EdgePorts } from './options.ts';
import { createRateLimit } from './rate-limit.ts';

const identityRecord = z.looseObject({
  name: z.string().max(64),
  sealKey,
  addresses: z.looseObject({ url: peerUrl, udp: udpAddress }),
});
const matchRecord = z.looseObject({ customer: z.string(), provider: z.string() });
const contractView = z.looseObject({
  terms: z.looseObject({ customer: z.string(), provider: z.string(), central: z.string().optional() }),
});

/** Who other edges are: where, known or not, party to what. */
export interface Directory {
  /** @throws AntirioError notFound when neither the book nor the ledger knows the edge. */
  find(edge: EdgeId): Promise<BookEntry>;
  /** What is known without asking anybody. */
  get(edge: EdgeId): BookEntry | undefined;
  /** The address did not answer: looks whether the ledger has a newer one. */
  refresh(edge: EdgeId): void;
  isKnown(edge: EdgeId): Promise<boolean>;
  /** The edges that a contract or a match is between (and a contract's central). */
  partiesOf(id: string): Promise<ReadonlySet<string>>;
}

export interface DirectoryParts {
  readonly options: Edge2EdgeOptions;
  readonly ports: Edge2EdgePorts;
  readonly book: AddressBook;
  readonly ledger: LedgerClient;
}

const CONTRACT_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const FOUND_MS = 5000;
/** Identities cost nothing: so many are looked up, not more. */
const LOOK_UPS_PER_SECOND = 50;
/** Of one edge. */
const REFRESHES_PER_SECOND = 1;
const NOT_FOUND_MS = 500;

const notFound = (what: string): AntirioError => new AntirioError('notFound', what);

export function createDirectory({ options, ports, book, ledger }: DirectoryParts): Directory {
  const { clock, log, identity, peers } = ports;

  /** A record of the ledger, undefined when there is none. */
  const record = async <S extends z.ZodType>(key: string, schema: S): Promise<z.output<S> | undefined> => {
    const value = await ledger.query(key);
    return value === undefined ? undefined : parseInput(schema, value);
  };
  const lookUps = createRateLimit(clock, LOOK_UPS_PER_SECOND, 1);
  const refreshes = createRateLimit(clock, REFRESHES_PER_SECOND);
  const askRegistered = async (edge: string): Promise<BookEntry | undefined> => {
    if (!lookUps.admit('')) throw new AntirioError('busy', 'too many edges to look up');
    const found = await record(`identity/${edge}`, identityRecord);
    if (found === undefined) return undefined;
    const { url, udp } = found.addresses;
    return { url, udp, sealKey: found.sealKey, name: found.name, source: 'ledger' };
  };
  const registered = createBriefCache(clock, askRegistered, (found) =>
    found === undefined ? NOT_FOUND_MS : FOUND_MS,
  );
  const onLedger = (edge: EdgeId): boolean =>
    edge !== options.central?.edgeId && (options.role === 'central' || options.central !== undefined);
  const note = (edge: EdgeId, found: BookEntry | undefined): BookEntry | undefined => {
    // What we were told by hand stays as it is.
    if (found !== undefined && book.get(edge)?.source !== 'told') book.put(edge, found);
    return found;
  };
  const lookUp = async (edge: EdgeId): Promise<BookEntry | undefined> =>
    onLedger(edge) ? note(edge, await registered.get(edge)) : undefined;
  const contractParties = async (id: string): Promise<ReadonlySet<string>> => {
    const arbitrator = peers['arbitrator'];
    if (arbitrator === undefined) throw new AntirioError('unavailable', 'there is no arbitrator here');
    const answer = await arbitrator.call({ path: `/arbitrator/v1/contract/${id}`, timeoutMs: 3000 });
    if (answer.status === 404) return new Set();
    if (answer.status !== 200)
      throw new AntirioError('unavailable', `the arbitrator answers ${answer.status}`);
    const { customer, provider, central } = parseInput(contractView, answer.json()).terms;
    return new Set([customer, provider, ...(central === undefined ? [] : [central])]);
  };
  const matchParties = async (id: string): Promise<ReadonlySet<string>> => {
    const match = await record(`match/${id}`, matchRecord);
    return new Set(match === undefined ? [] : [match.customer, match.provider]);
  };
  const parties = createBriefCache(
    clock,
    (id) => (CONTRACT_ID.test(id) ? contractParties(id) : matchParties(id)),
    (found) => (found.size === 0 ? NOT_FOUND_MS : FOUND_MS),
  );
  const isVetted = (edge: EdgeId): boolean => options.vetted === 'all' || options.vetted.includes(edge);

  return {
    get: (edge) => book.get(edge),
    async find(edge) {
      const entry = book.get(edge) ?? (await lookUp(edge));
      if (entry === undefined) throw notFound(`no address of the edge ${edge}`);
      return entry;
    },
    refresh(edge) {
      if (!onLedger(edge) || !refreshes.admit(edge)) return;
      askRegistered(edge)
        .then((found) => note(edge, found))
        .catch((error: unknown) => log.debug({ edge, error: describeError(error) }, 'no newer address'));
    },
    async isKnown(edge) {
      if (edge === identity.edgeId) return true;
      if (options.role === 'central') return isVetted(edge) || (await registered.get(edge)) !== undefined;
      return book.get(edge) !== undefined || (await lookUp(edge)) !== undefined;
    },
    partiesOf: (id) => parties.get(id),
  };
}

/** `central` stands for the configured one. @throws AntirioError invalidInput, notFound */
export function resolveEdge(text: string, options: Edge2EdgeOptions, own: EdgeId): EdgeId {
  if (text !== 'central') return parseEdgeId(text);
  if (options.role === 'central') return own;
  if (options.central === undefined) throw notFound('no central is configured');
  return options.central.edgeId;
}
