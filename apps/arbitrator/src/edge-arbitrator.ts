import { join } from 'node:path';
import { z } from 'zod';
import {
  createHttpRim,
  parseInput,
  repeat,
  type Repeating,
  type Service,
  type Subscription,
} from '@antirio/host';
import { AntirioError, describeError, fromUtf8, parseEdgeId, type EdgeId } from '@antirio/kernel';
import {
  contractTerms,
  datagramSchemas,
  nextBlock,
  blockOf,
  blockIndexOf,
  type Datagram,
  type DatagramKind,
} from '@antirio/service-contract';
import { VERSION, type ArbitratorOptions, type ArbitratorPorts } from './options.ts';
import { openContractStore, type StoredContract } from './contract-store.ts';
import { ledgerClient } from './ledger-client.ts';
import { partyRooms } from './party-rooms.ts';
import { peerNamed } from './peers.ts';
import { runParty, type PartyDriver } from './party-driver.ts';
import { divideKeys, keyPackage, readJsonFile, secrets, type DividedKeys } from './sealed-keys.ts';
import { createSigning, signRequest } from './signing.ts';

const proposal = z.strictObject({ terms: contractTerms, match: z.unknown().optional() });
const idParam = z.object({ id: z.uuid() });
const returnRequest = z.strictObject({ epoch: z.int().min(0) });
const counterRequest = z.object({
  requestId: z.string().max(64),
  devAddr: z.string().regex(/^[0-9a-f]{8}$/),
  above: z.int().min(-1).default(-1),
});
const datagramIn = z.object({ from: z.string(), body: z.unknown() });

const SIGN_EVERY_MS = 500;
const DIVIDED = 'divided';

/** The edge's black box: signs contracts, runs both parties' machines, keeps the evidence. */
export function createEdgeArbitrator(options: ArbitratorOptions, ports: ArbitratorPorts): Service {
  const { identity, log, bus, clock, peers } = ports;
  const store = openContractStore(join(options.dataDir, 'contracts.db'));
  const ledger = ledgerClient(
    peerNamed(peers, 'edge2edge'),
    '/edge2edge/peer/central/ledger',
    identity,
    ports.random,
  );
  const rooms = partyRooms(peers, () => clock.now());
  const signing = createSigning(ports, store, ledger);
  const drivers = new Map<string, PartyDriver>();
  const subscriptions: Subscription[] = [];
  const counts = { datagrams: 0, badDatagrams: 0 };
  let signer: Repeating | undefined;

  const protectedFiles = (): NonNullable<ArbitratorOptions['protectedService']> => {
    if (options.protectedService === undefined)
      throw new AntirioError('badConfig', 'arbitrator.protectedService names no device service to protect');
    return options.protectedService;
  };
  const ownSecrets = (): z.output<typeof secrets> => readJsonFile(protectedFiles().secretsFile, secrets);

  // Divided once and kept: the parts of two divisions would open nothing.
  const dividedFor = async (contract: StoredContract): Promise<DividedKeys> => {
    const { terms } = contract;
    const there = store.document(terms.contractId, DIVIDED);
    if (there !== undefined) return there as DividedKeys;
    const service = readJsonFile(protectedFiles().configFile, z.record(z.string(), z.unknown()));
    const [provider, central] = [
      await ledger.sealKeyOf(terms.provider),
      await ledger.sealKeyOf(terms.central),
    ];
    const divided = divideKeys(terms, service, ownSecrets(), { provider, central }, ports.random);
    store.putDocument(terms.contractId, DIVIDED, divided);
    return divided;
  };

  const drive = (contract: StoredContract): void => {
    const { terms, phase } = contract;
    if (phase === undefined || drivers.has(terms.contractId)) return;
    const calls = {
      terms,
      identity,
      peers,
      ledger,
      rooms,
      store,
      ports,
      divided: () => dividedFor(contract),
    };
    const party = { terms, role: contract.role, phase } as Parameters<typeof runParty>[0];
    drivers.set(terms.contractId, runParty(party, { options, ports, store, rooms, calls, ownSecrets }));
  };

  const sign = async (): Promise<void> => {
    for (const contract of store.all()) {
      if (contract.role !== 'customer' || contract.phase !== undefined || contract.refused !== undefined)
        continue;
      drive(await signing.advance(contract));
    }
  };

  const contractOf = (id: string): StoredContract => {
    const contract = store.get(id);
    if (contract === undefined) throw new AntirioError('notFound', `no contract ${id}`);
    return contract;
  };
  const show = (contract: StoredContract): unknown => ({
    contractId: contract.terms.contractId,
    role: contract.role,
    terms: contract.terms,
    state: contract.refused === undefined ? (contract.phase?.at ?? 'signing') : 'refused',
    phase: contract.phase === undefined ? undefined : publicPhase(contract.phase),
    refused: contract.refused,
    fence: drivers.get(contract.terms.contractId)?.desires().fence,
  });

  const onDatagram = (topic: string, payload: Uint8Array): void => {
    counts.datagrams++;
    const kind = topic.split('/').at(-1) ?? '';
    try {
      if (!(kind in datagramSchemas)) return;
      const message = parseInput(datagramIn, JSON.parse(fromUtf8(payload)));
      const body = parseInput(datagramSchemas[kind as DatagramKind], message.body);
      const datagram = { kind, body } as Datagram;
      const from: EdgeId = parseEdgeId(message.from);
      for (const driver of drivers.values()) driver.post({ type: 'datagram', from, datagram });
    } catch (error) {
      counts.badDatagrams++;
      log.debug({ kind, error: describeError(error) }, 'datagram not understood');
    }
  };

  const onCounterRequest = async (topic: string, payload: Uint8Array): Promise<void> => {
    const { requestId, devAddr, above } = parseInput(counterRequest, JSON.parse(fromUtf8(payload)));
    const contractId = topic.startsWith('contract/') ? topic.split('/')[1] : undefined;
    const protects = (driver: PartyDriver): boolean =>
      driver.terms.set.devices.some((device) => device.devAddr === devAddr);
    const highest = above < 0 ? -1 : blockIndexOf(above);
    if (contractId !== undefined) {
      const driver = drivers.get(contractId);
      if (driver?.role === 'provider' && protects(driver))
        driver.post({ type: 'counterAsked', requestId, devAddr, above: highest });
      return;
    }
    const own = [...drivers.values()].filter((driver) => driver.role === 'customer' && protects(driver));
    const guarded = own.filter((driver) => driver.desires().fence.state !== 'none');
    for (const driver of guarded.slice(-1))
      driver.post({ type: 'counterAsked', requestId, devAddr, above: highest });
    // No set, no other party: the counters are this edge's alone.
    if (guarded.length === 0) await grantOwn(requestId, devAddr, highest);
  };
  const grantOwn = async (requestId: string, devAddr: string, above: number): Promise<void> => {
    const last = store.document('own', `block/${devAddr}`);
    const index = nextBlock(0, Math.max(above, typeof last === 'number' ? last : -1));
    store.putDocument('own', `block/${devAddr}`, index);
    await bus.publish('antirio/fcntdown/grant', JSON.stringify({ requestId, devAddr, ...blockOf(index) }), {
      qos: 1,
    });
  };

  const rim = createHttpRim({
    serviceKey: 'arbitrator',
    version: VERSION,
    clock,
    log,
    config: () => ({ ...options, protectedService: undefined, edgeId: identity.edgeId }),
    health: () => health(),
  });
  rim.route(
    'post',
    '/arbitrator/v1/contract',
    { summary: 'take on terms that the DMUs agreed', body: proposal, status: 202 },
    ({ body, request }) => {
      if (request.get('x-antirio-peer') !== undefined)
        throw new AntirioError('forbidden', 'only this edge proposes its own contracts');
      if (drivers.size >= options.maxContracts)
        throw new AntirioError('busy', `at most ${options.maxContracts} contracts at once`);
      protectedFiles();
      const contract = signing.propose(body.terms);
      signer?.poke();
      return show(contract);
    },
  );
  rim.route('get', '/arbitrator/v1/contract', { summary: 'all contracts of this edge' }, () =>
    store.all().map(show),
  );
  rim.route(
    'get',
    '/arbitrator/v1/contract/:id',
    { summary: 'one contract', params: idParam },
    ({ params }) => show(contractOf(params.id)),
  );
  rim.route(
    'get',
    '/arbitrator/v1/contract/:id/timeline',
    { summary: 'what happened, with its evidence', params: idParam },
    ({ params }) => ({
      contractId: contractOf(params.id).terms.contractId,
      notes: store.notes(params.id),
    }),
  );
  rim.route(
    'post',
    '/arbitrator/v1/contract/:id/sign',
    { summary: 'countersign agreed terms', params: idParam, body: signRequest },
    async ({ params, body, request }) => {
      if (params.id !== body.terms.contractId)
        throw new AntirioError('invalidInput', 'path and terms name different contracts');
      if (drivers.size >= options.maxContracts)
        throw new AntirioError('busy', `at most ${options.maxContracts} contracts at once`);
      const contract = await signing.countersign(request.get('x-antirio-peer') ?? '', body);
      drive(contract);
      return { signature: contract.signatures.provider };
    },
  );
  rim.route(
    'post',
    '/arbitrator/v1/contract/:id/keys',
    { summary: 'sealed keys and the service they are for', params: idParam, body: keyPackage },
    ({ params, body, request }) => {
      const contract = contractOf(params.id);
      if (contract.role !== 'provider' || request.get('x-antirio-peer') !== contract.terms.customer)
        throw new AntirioError('forbidden', 'only the customer delivers keys to its provider');
      if (body.contractId !== params.id || body.part.to !== identity.edgeId)
        throw new AntirioError('invalidInput', 'these keys are for another contract or edge');
      if (body.whole !== (contract.terms.opening === 'autonomous'))
        throw new AntirioError('invalidInput', 'whole keys are for autonomous contracts only');
      store.putDocument(params.id, 'keys', body);
      return { keyVersion: body.keyVersion };
    },
  );
  rim.route(
    'post',
    '/arbitrator/v1/contract/:id/return',
    { summary: 'the customer asks for its sensors back', params: idParam, body: returnRequest, status: 202 },
    ({ params, body, request }) => {
      const contract = contractOf(params.id);
      if (contract.role !== 'provider' || request.get('x-antirio-peer') !== contract.terms.customer)
        throw new AntirioError('forbidden', 'only the customer asks for its sensors back');
      drivers.get(params.id)?.post({ type: 'returnAsked', epoch: body.epoch });
      return { phase: drivers.get(params.id)?.phase().at };
    },
  );

  const health = (): Record<string, { ok: boolean; detail?: string }> => ({
    store: { ok: store.writable() },
    bus: bus.health(),
    contracts: {
      ok: true,
      detail: `${drivers.size} under way; ${counts.badDatagrams} of ${counts.datagrams} datagrams not understood`,
    },
  });

  return {
    name: 'arbitrator',
    async start() {
      subscriptions.push(await bus.subscribe('antirio/datagram/in/#', onDatagram));
      subscriptions.push(await bus.subscribe('antirio/fcntdown/request', onCounterRequest));
      subscriptions.push(await bus.subscribe('contract/+/antirio/fcntdown/request', onCounterRequest));
      for (const contract of store.all()) drive(contract);
      signer = repeat('sign', SIGN_EVERY_MS, log, sign);
      await rim.listen(options.port, options.bind);
    },
    async stop() {
      await rim.close();
      await signer?.stop();
      for (const subscription of subscriptions.splice(0)) await subscription.close();
      await Promise.all([...drivers.values()].map((driver) => driver.stop()));
      drivers.clear();
      store.close();
    },
    health,
  };
}

/** Statements are long and of interest to the ledger only. */
function publicPhase(phase: object): unknown {
  return Object.fromEntries(Object.entries(phase).filter(([key]) => key !== 'statement'));
}
