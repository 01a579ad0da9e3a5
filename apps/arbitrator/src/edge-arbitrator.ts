import { join } from 'node:path';
import {
  createHttpRim,
  repeat,
  type Health,
  type Repeating,
  type Service,
  type Subscription,
} from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { LENT_TOPIC } from '@antirio/service-contract';
import { arrivalOf, isDatagramKind } from './datagram-arrival.ts';
import { VERSION, type ArbitratorOptions, type ArbitratorPorts } from './options.ts';
import { findTroubles } from './alarm-rules.ts';
import { countRingLives } from './ring-lives.ts';
import { countMacHome } from './mac-home.ts';
import { showLentCounts } from './lent-counts.ts';
import { countBlocksOnPromises, countLeasesByPromises } from './promise-metric.ts';
import { createAlarmBoard } from './alarms.ts';
import { openContractStore } from './contract-store.ts';
import { createContracts } from './contracts.ts';
import { GAP_TOPIC, createCounterGaps, guestSets } from './counter-gaps.ts';
import { addCoverageRoutes } from './coverage-routes.ts';
import { createCounterGrants } from './counter-grants.ts';
import { addDrillEscrowRoutes, createDrillEscrow } from './drill-escrow.ts';
import { DESTROY_EVERY_MS, addEscrowRoutes, createEscrowHolder } from './escrow-holder.ts';
import { openEscrowStore } from './escrow-store.ts';
import { addDownlinkRoutes } from './downlink-routes.ts';
import { addEdgeRoutes } from './edge-routes.ts';
import { countJoinHome } from './join-home.ts';
import { addLiveSessionRoutes } from './live-sessions.ts';
import { showFullDrills } from './full-drill-metrics.ts';
import { failingMachine } from './machine-state.ts';
import { addLedgerSightRoutes, tellOfRollback } from './ledger-sight-routes.ts';
import { nightFacts } from './night-facts.ts';
import { peerNamed } from './peers.ts';
import { createSpeakerReports } from './speaker-reports.ts';
import { SERVICE_STATUS, createUnservedJoins } from './unserved-joins.ts';
import { addOperatorRoutes } from './operator-routes.ts';
import { createOperator } from './operator.ts';
import { addVolumeKeysRoute } from './volumes.ts';

const SIGN_EVERY_MS = 500;
const MACHINE_EVERY_MS = 5000;
const TROUBLES_EVERY_MS = 2000;

/** The edge's black box: signs contracts, runs both parties' machines, keeps the evidence. */
export function createEdgeArbitrator(options: ArbitratorOptions, ports: ArbitratorPorts): Service {
  const { identity, log, bus, clock } = ports;
  const store = openContractStore(join(options.dataDir, 'arbitrator', 'contracts.db'));
  const contracts = createContracts(options, ports, store);
  const shares = openEscrowStore(join(options.dataDir, 'arbitrator', 'escrow.db'));
  const { maxContracts } = options.escrow;
  const { ledger } = contracts;
  const escrow = createEscrowHolder({ identity, ledger, store: shares, log, maxContracts });
  const { drivers } = contracts;
  const speaker = createSpeakerReports({ options, ports, store, ledger, drivers });
  const subscriptions: Subscription[] = [];
  const counts = { datagrams: 0, bad: 0 };
  let signer: Repeating | undefined;
  const looking: Repeating[] = [];
  let destroying: Repeating | undefined;

  const onDatagram = (topic: string, payload: Uint8Array): void => {
    counts.datagrams++;
    const kind = topic.split('/').at(-1) ?? '';
    if (!isDatagramKind(kind)) return;
    try {
      const arrival = arrivalOf(kind, payload);
      for (const driver of drivers.values()) driver.post(arrival);
    } catch (error) {
      counts.bad++;
      log.debug({ kind, error: describeError(error) }, 'datagram not understood');
    }
  };
  const health = (): Health => ({
    store: { ok: store.writes.ok() },
    bus: bus.health(),
    ledger: contracts.ledger.watch.health(),
    contracts: {
      ok: true,
      detail: `${contracts.live()} under way; ${counts.bad} of ${counts.datagrams} datagrams not understood`,
    },
  });
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'arbitrator',
    version: VERSION,
    clock,
    log,
    config: () => ({
      ...options,
      protectedService: options.protectedService?.configFile,
      edgeId: identity.edgeId,
    }),
    health,
  });
  const bridge = peerNamed(ports.peers, 'gatewayBridge');
  const unserved = createUnservedJoins();
  addEdgeRoutes(rim, contracts, store, identity, bridge, { poke: () => signer?.poke(), unserved, clock });
  addCoverageRoutes(rim, { contracts, store, identity, bridge, clock });
  const phaseOf = (id: string): { readonly at: string } | undefined => drivers.get(id)?.phase();
  const downlinks = addDownlinkRoutes(rim, { ...ports, store, ledger, phaseOf });
  const operator = createOperator(options, ports, contracts, store);
  const alarms = createAlarmBoard({ bus, clock, log, metrics: rim.metrics });
  countLeasesByPromises(rim.metrics, contracts.drivers);
  countBlocksOnPromises(rim.metrics, contracts.drivers, contracts.blocks);
  countMacHome(rim.metrics, contracts.macHome);
  countJoinHome(rim.metrics, contracts.joins.home);
  countRingLives(rim.metrics, store, contracts.drivers);
  const { downlinkDrills } = contracts;
  showLentCounts(rim.metrics, downlinkDrills.counts);
  showFullDrills(rim.metrics, contracts.fullDrills);
  const protects = options.protectedService !== undefined;
  const { coreData, orchestrator, deviceLora } = ports.peers;
  const counterGaps = createCounterGaps(store, () => guestSets(contracts));
  const night = nightFacts({
    ...{ clock, contracts, store, counterGaps, ledger, bridge, coreData, orchestrator, deviceLora, protects },
  });
  const why = { edgeId: identity.edgeId, clock, contracts, store, counterGaps, ledger, bridge, orchestrator };
  addLedgerSightRoutes(rim, ledger.watch);
  addOperatorRoutes(rim, { operator, contracts, why, alarms });
  const lookForTroubles = async (): Promise<void> => {
    tellOfRollback(alarms, ledger.watch);
    alarms.found(findTroubles(await night.gather()));
  };
  const lookAtMachine = async (): Promise<void> => {
    const cause = failingMachine(options.lastGasp);
    if (cause !== undefined) await operator.lastGasp(cause, options.lastGasp.boundMs);
  };
  addEscrowRoutes(rim, escrow);
  addLiveSessionRoutes(rim, () => contracts.sealing(), contracts.leaveBehind);
  addVolumeKeysRoute(rim, drivers, () => contracts.ownSecrets());
  addDrillEscrowRoutes(rim, createDrillEscrow({ identity, ledger, store: shares, log }));

  return {
    name: 'arbitrator',
    health,
    async start() {
      const onCounterRequest = createCounterGrants(bus, store, contracts);
      subscriptions.push(await bus.subscribe('antirio/datagram/in/#', onDatagram));
      subscriptions.push(
        await bus.subscribe(SERVICE_STATUS, (topic, payload) => unserved.onStatus(topic, payload)),
      );
      subscriptions.push(await bus.subscribe('antirio/fcntdown/request', onCounterRequest));
      subscriptions.push(await bus.subscribe('contract/+/antirio/fcntdown/request', onCounterRequest));
      const { desk } = contracts.joins;
      subscriptions.push(await bus.subscribe('contract/+/antirio/join/ask', desk.onAsk));
      subscriptions.push(await bus.subscribe('contract/+/antirio/join/keep', desk.onKeep));
      subscriptions.push(await bus.subscribe(`${LENT_TOPIC}/send`, downlinkDrills.onSend));
      subscriptions.push(await bus.subscribe(`${LENT_TOPIC}/result`, downlinkDrills.onResult));
      for (const topic of [GAP_TOPIC, `contract/+/${GAP_TOPIC}`])
        subscriptions.push(await bus.subscribe(topic, counterGaps.onNotice));
      ledger.watch.start();
      for (const contract of store.all()) contracts.drive(contract);
      contracts.refetches.start();
      speaker.start();
      destroying = repeat('escrow', DESTROY_EVERY_MS, log, () => escrow.sweep());
      signer = repeat('sign', SIGN_EVERY_MS, log, () => contracts.signPending());
      looking.push(
        repeat('look at the machine', MACHINE_EVERY_MS, log, lookAtMachine),
        repeat('look for troubles', TROUBLES_EVERY_MS, log, lookForTroubles),
      );
      await rim.listen(options.port, options.bind);
    },
    async leave() {
      if (options.lastGasp.terminating) await operator.lastGasp('terminating', options.lastGasp.boundMs);
    },
    async stop() {
      await rim.close();
      for (const one of looking.splice(0)) await one.stop();
      await signer?.stop();
      await speaker.stop();
      await downlinks.close();
      for (const subscription of subscriptions.splice(0)) await subscription.close();
      await ledger.watch.stop();
      await contracts.stop();
      await destroying?.stop();
      store.close();
      shares.close();
    },
  };
}
