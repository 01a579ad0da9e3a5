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
import { datagramSchemas } from '@antirio/service-contract';
import { VERSION, type ArbitratorOptions, type ArbitratorPorts } from './options.ts';
import {
  createCentralCalls,
  openRequest,
  actsRequest,
  takeRequest,
  validateRequest,
  witnessRequest,
} from './central-calls.ts';
import { centralFacts } from './central-facts.ts';
import { runCentral } from './central-host.ts';
import { drillClaimRequest, judgeDrillClaim } from './drill-claim.ts';
import { addDrillEscrowRoutes, createDrillEscrow } from './drill-escrow.ts';
import { DESTROY_EVERY_MS, addEscrowRoutes, createEscrowHolder } from './escrow-holder.ts';
import { adoptOldShares, openEscrowStore } from './escrow-store.ts';
import { openGrantorStore } from './grantor-store.ts';
import { createLeaseDesk } from './lease-desk.ts';
import { ledgerClient } from './ledger-client.ts';
import { addLedgerSightRoutes } from './ledger-sight-routes.ts';
import { createPatientSubmit } from './patient-submit.ts';
import { peerNamed } from './peers.ts';
import { belowRootRequest, contradictionRequest, judgeBelowRoot, judgeContradiction } from './root-claims.ts';
import { claimRequest } from './wrong-keys.ts';
import { findBreaches } from './breach-watch.ts';
import { settleDisputes } from './dispute-watch.ts';

const datagramIn = z.object({ from: z.string(), body: z.unknown() });
const SWEEP_EVERY_MS = 1000;
const DISPUTES_EVERY_MS = 10_000;

/** The centre: keeps its share of the keys, witnesses, gives epochs and leases, and rules on the ledger. */
export function createCentralArbitrator(options: ArbitratorOptions, ports: ArbitratorPorts): Service {
  const { identity, log, bus, clock, random } = ports;
  const store = openGrantorStore(join(options.dataDir, 'arbitrator', 'grantor.db'));
  const ledger = ledgerClient(
    { peer: peerNamed(ports.peers, 'ledger'), prefix: '', identity, random, log },
    {
      get: () => store.seen(),
      put: (seen) => {
        store.putSeen(seen);
      },
    },
    clock,
  );
  /** Of a ledger that is not the one we know nothing is given. */
  const believed = async (): Promise<void> => {
    if (ledger.watch.believed() !== true) await ledger.watch.check();
  };
  const facts = centralFacts(ledger, clock);
  const customerOf = async (setId: string): Promise<EdgeId> => (await facts.setOf(setId)).customer;
  const host = runCentral({ bus, clock, random, log, store, customerOf });
  const shares = openEscrowStore(join(options.dataDir, 'arbitrator', 'escrow.db'));
  adoptOldShares(store, shares);
  const { maxContracts } = options.escrow;
  const escrow = createEscrowHolder({ identity, ledger, store: shares, log, maxContracts });
  const submit = createPatientSubmit(ledger, { clock, random });
  const calls = createCentralCalls({ identity, clock, ledger, facts, host, escrow });
  const subscriptions: Subscription[] = [];
  const counts = { leases: 0, badDatagrams: 0 };
  let sweeping: Repeating | undefined;
  let settling: Repeating | undefined;
  let destroying: Repeating | undefined;

  const read = (payload: Uint8Array): z.output<typeof datagramIn> =>
    parseInput(datagramIn, JSON.parse(fromUtf8(payload)));
  const guarded =
    (handle: (payload: Uint8Array) => void) =>
    (_topic: string, payload: Uint8Array): void => {
      try {
        handle(payload);
      } catch (error) {
        counts.badDatagrams++;
        log.debug({ error: describeError(error) }, 'datagram not served');
      }
    };
  const leases = createLeaseDesk(
    async (setId, from) => {
      await believed();
      return facts.leaseFacts(setId, from);
    },
    (asked, known) => host.post({ type: 'leaseRequest', ...asked, facts: known }),
    log,
  );
  const onLease = (payload: Uint8Array): void => {
    // Counted from here: what follows waits for the ledger.
    const receivedAt = clock.monotonic();
    const message = read(payload);
    const request = parseInput(datagramSchemas.leaseRequest, message.body);
    counts.leases++;
    leases.ask({ from: parseEdgeId(message.from), request, receivedAt });
  };
  const onProbeReply = (payload: Uint8Array): void => {
    const { from, body } = read(payload);
    const { nonce } = parseInput(datagramSchemas.probeReply, body);
    host.post({ type: 'probeReply', from: parseEdgeId(from), nonce });
  };

  const peerOf = (request: { get(name: string): string | undefined }): string => {
    const peer = request.get('x-antirio-peer');
    if (peer === undefined)
      throw new AntirioError('unauthenticated', 'only edges ask the central arbitrator, through edge2edge');
    return peer;
  };
  const asking = (request: Parameters<typeof peerOf>[0]) => ({ peer: peerOf(request), now: clock.now() });
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'arbitrator',
    version: VERSION,
    clock,
    log,
    config: () => ({ ...options, edgeId: identity.edgeId }),
    health: () => health(),
  });
  addLedgerSightRoutes(rim, ledger.watch);
  const base = '/arbitrator/v1/central';
  rim.route(
    'post',
    `${base}/validate`,
    { summary: 'terms that both signed: both stakes go into escrow', body: validateRequest },
    async ({ body, request }) => {
      await believed();
      return calls.validate(peerOf(request), body);
    },
  );
  rim.route(
    'post',
    `${base}/witness`,
    { summary: 'does the customer answer us?', body: witnessRequest },
    ({ body, request }) => calls.witness(peerOf(request), body),
  );
  rim.route(
    'post',
    `${base}/open`,
    { summary: 'release the key share against a ring root', body: openRequest },
    async ({ body, request }) => {
      await believed();
      return calls.open(peerOf(request), body);
    },
  );
  rim.route(
    'post',
    `${base}/take`,
    { summary: 'take the epoch after the one expected', body: takeRequest },
    async ({ body, request }) => {
      await believed();
      return calls.take(peerOf(request), body);
    },
  );
  rim.route(
    'post',
    `${base}/acts`,
    { summary: 'the customer acts by the provider’s promise, as its own word says', body: actsRequest },
    ({ body, request }) => calls.acts(peerOf(request), body),
  );
  rim.route(
    'post',
    `${base}/wrong-keys`,
    { summary: 'the provider shows that the opened keys are not the customer’s', body: claimRequest },
    ({ body, request }) => calls.wrongKeys(peerOf(request), body),
  );
  rim.route(
    'post',
    `${base}/contradicting-roots`,
    {
      summary: 'two roots of one ring that its provider cannot both have signed',
      body: contradictionRequest,
    },
    ({ body, request }) => judgeContradiction(facts, ledger, asking(request), body),
  );
  rim.route(
    'post',
    `${base}/statement-below-root`,
    {
      summary: 'a provider states less than it had signed for at its opening',
      body: belowRootRequest,
    },
    ({ body, request }) => judgeBelowRoot(facts, ledger, asking(request), body),
  );
  rim.route(
    'get',
    `${base}/record/:id`,
    { summary: 'what the ledger says of a contract and its set', params: z.object({ id: z.uuid() }) },
    async ({ params, request }) => {
      await believed();
      return calls.record(request.get('x-antirio-peer'), params.id);
    },
  );
  rim.route(
    'post',
    `${base}/drill-claim`,
    { summary: 'a customer’s drill keys or frames are wrong', body: drillClaimRequest },
    ({ body, request }) => judgeDrillClaim(identity, ledger, peerOf(request), body),
  );
  addEscrowRoutes(rim, escrow);
  addDrillEscrowRoutes(rim, createDrillEscrow({ identity, ledger, store: shares, log }));
  const health = (): Record<string, { ok: boolean; detail?: string }> => ({
    store: { ok: store.writes.ok() },
    bus: bus.health(),
    ledger: ledger.watch.health(),
    leases: {
      ok: true,
      detail: `${counts.leases} asked for, ${leases.dropped()} given up, ${counts.badDatagrams} datagrams not served`,
    },
  });

  return {
    name: 'arbitrator',
    async start() {
      subscriptions.push(await bus.subscribe('antirio/datagram/in/leaseRequest', guarded(onLease)));
      subscriptions.push(await bus.subscribe('antirio/datagram/in/probeReply', guarded(onProbeReply)));
      sweeping = repeat('sweep', SWEEP_EVERY_MS, log, () =>
        findBreaches({ clock, ledger, submit, facts, host, log }),
      );
      settling = repeat('disputes', DISPUTES_EVERY_MS, log, () =>
        settleDisputes({ clock, ledger, submit, facts, log }),
      );
      destroying = repeat('escrow', DESTROY_EVERY_MS, log, () => escrow.sweep());
      ledger.watch.start();
      await rim.listen(options.port, options.bind);
    },
    async stop() {
      await rim.close();
      await sweeping?.stop();
      await settling?.stop();
      await destroying?.stop();
      await ledger.watch.stop();
      for (const subscription of subscriptions.splice(0)) await subscription.close();
      host.stop();
      store.close();
      shares.close();
    },
    health,
  };
}
