import { signDocument, type EdgeId } from '@antirio/kernel';
import { keys, type ContractRecord } from '@antirio/ledger-machine';
import {
  ACTS_KIND,
  nothingDelivered,
  type BlockMark,
  type ContractTerms,
  type Datagram,
} from '@antirio/service-contract';
import { attackNetwork, attackRadio } from './attackers.ts';
import { createCentralNode, type CentralDisk, type CentralNode } from './central-node.ts';
import { customerRole } from './customer-role.ts';
import { createEdge, emptyDisk, type Contracted, type EdgeNode, type EdgePorts } from './edge.ts';
import { simulateCoverage, thievingRing } from './coverage.ts';
import { limitless } from './overlong.ts';
import { greedy } from './relay.ts';
import type { PartyHost } from './party-host.ts';
import { simulateDrills } from './drills.ts';
import { simulateFullDrills } from './full-drills.ts';
import { createEngine, type Engine } from './engine.ts';
import { floodRadio, floodedRing, watchFlood, type FloodWatch } from './floods.ts';
import { setLinks } from './faults.ts';
import { lazyPieces } from './faithless.ts';
import type { Frame } from './frames.ts';
import { createGateway } from './gateway.ts';
import { createHolders } from './holders.ts';
import { createHost, type Host } from './host.ts';
import { identities } from './identities.ts';
import { createLedger, type Payload, type SimLedger } from './ledger.ts';
import { simulateLending, type Lend } from './lent-downlinks.ts';
import { misstating } from './misstated.ts';
import { createMotes, type Motes } from './motes.ts';
import { createNetwork, type Network } from './network.ts';
import type { Pieces } from './pieces.ts';
import { providerRole, type PartyLinks } from './provider-role.ts';
import { countedNow } from './rekeying.ts';
import { createRadio, type Radio } from './radio.ts';
import { rollDice, type Dice } from './random.ts';
import type { EdgeName, NodeName, ProviderName, Scenario } from './scenario.ts';
import { strayDriver } from './strays.ts';
import { termsWith } from './two-providers.ts';
import { createTrace, type Trace } from './trace.ts';

/** A whole simulated world, before anything has happened in it. */
export interface World {
  readonly engine: Engine;
  readonly trace: Trace;
  readonly network: Network;
  readonly radio: Radio;
  readonly motes: Motes;
  /** Those of the first contract. */
  readonly terms: ContractTerms;
  readonly contracts: readonly [SimContract, ...SimContract[]];
  readonly hosts: Readonly<Record<NodeName, Host>>;
  /** Who takes part in it. */
  readonly nodes: readonly NodeName[];
  readonly A: EdgeNode;
  readonly providers: ReadonlyMap<EdgeName, EdgeNode>;
  readonly central: CentralNode;
  readonly centralDisk: CentralDisk;
  readonly ledger: SimLedger;
  readonly drills: { tell(): void } | undefined;
  readonly fullDrills: { tell(): void } | undefined;
  /** Frames that a thief has thrown away, where the ledger rules of that. */
  readonly coverage: { readonly thief: boolean; readonly thrown: ReadonlySet<string> } | undefined;
  /** Where rings have a budget. */
  readonly flood: FloodWatch | undefined;
}

/** One of the set's contracts, with those whose it is. */
export interface SimContract {
  readonly terms: ContractTerms;
  readonly name: ProviderName;
  readonly provider: EdgeNode;
  readonly customerParty: () => PartyHost;
  readonly providerParty: () => PartyHost;
}

export interface WorldPorts {
  readonly pieces: Pieces;
  readonly keepLines: boolean;
  readonly onMayAct: (epoch: number, from: number, by: NodeName) => void;
  readonly onPhase: (node: NodeName, phase: string) => void;
  readonly onRuling: (overMs: number, provider: EdgeId) => void;
  readonly onRecorded: (payload: Payload) => void;
  /** Blocks of FCntDown that the grantor has given, and those that an edge has on its disk. */
  readonly onGiven: (devAddr: string, index: number) => void;
  readonly onKept: (node: NodeName, by: EdgeId, marks: readonly BlockMark[]) => void;
  readonly onTheft: (holder: EdgeId) => void;
  readonly onProbe: (by: NodeName, nonce: string) => void;
  /** A drill has opened the contract's own keys. */
  readonly onRealKeys: () => void;
}

const nameOf = new Map<EdgeId, NodeName>([
  [identities.A.edgeId, 'A'],
  [identities.B.edgeId, 'B'],
  [identities.C.edgeId, 'C'],
  [identities.central.edgeId, 'central'],
]);

interface Ground {
  readonly engine: Engine;
  readonly trace: Trace;
  readonly dice: (part: string) => Dice;
  readonly radio: Radio;
  readonly hosts: Readonly<Record<NodeName, Host>>;
  readonly nodes: readonly NodeName[];
  readonly network: Network;
}

function layGround(scenario: Scenario, keepLines: boolean): Ground {
  const engine = createEngine();
  const trace = createTrace(() => engine.now, keepLines);
  const dice = (part: string): Dice => rollDice(scenario.seed, part);
  const host = (name: NodeName): Host =>
    createHost(engine, trace, dice(name), { name, rate: scenario.rates[name], fsyncMs: scenario.fsyncMs });
  const hosts = { A: host('A'), B: host('B'), C: host('C'), central: host('central') };
  const [all, ofBlocks] = [dice('network'), dice('network of blocks')];
  const network = createNetwork(engine, trace, all, ofBlocks, new Map(Object.entries(hosts)));
  const nodes: readonly NodeName[] = ['A', ...scenario.providers, 'central'];
  setLinks(network, nodes, scenario);
  return { engine, trace, dice, radio: createRadio(engine, trace, dice('radio')), hosts, nodes, network };
}

export function createWorld(scenario: Scenario, ports: WorldPorts): World {
  const ground = layGround(scenario, ports.keepLines);
  const { engine, trace, dice, radio, hosts, nodes, network } = ground;
  const { pieces } = ports;
  const motes = createMotes(engine, radio, dice('motes'), {
    ...scenario.motes,
    unheard: scenario.unheard,
  });
  const sessions = motes.motes.map((mote) => mote.session);
  const terms = scenario.terms(sessions.map(({ devEui, devAddr }) => ({ devEui, devAddr })));
  const termsFor = (name: ProviderName): ContractTerms => termsWith(terms, name);
  const all = scenario.providers.map(termsFor);
  const ledger = createLedger(all, dice('ledger'), hosts.central.clock.wall(), pieces.apply);
  const centralDisk: CentralDisk = {
    seen: undefined,
    shares: new Set(),
    mute: false,
    blocks: new Map(),
    proven: new Map(),
  };

  const holders = createHolders({
    ...{ engine, trace, dice: dice('holders'), ledger, contracts: all, pieces },
    until: scenario.healAt,
    onTheft: ports.onTheft,
  });
  const deliver = (to: NodeName, from: EdgeId, datagram: Datagram): void => {
    if (to === 'central') central.onDatagram(from, datagram);
    else edgeOf(to)?.onDatagram(from, datagram);
  };
  const sendFrom = (name: NodeName, to: EdgeId, datagram: Datagram): void => {
    const target = nameOf.get(to);
    if (target === undefined) return;
    if (datagram.kind === 'probe') ports.onProbe(name, datagram.body.nonce);
    trace.note(name, datagram.kind, () => `to ${target} ${JSON.stringify(datagram.body)}`, 'fine');
    network.send(hosts[name], hosts[target], datagram.kind, () => {
      deliver(target, identities[name].edgeId, datagram);
    });
  };
  const onCovered = (frame: Frame): void => {
    const sent = motes.sent.get(frame.bytes);
    if (sent !== undefined) sent.covered = true;
  };
  const proofs = new Map<string, string>();
  /** As the driver does: a customer signs that it asks for a promise. */
  const signed = (name: EdgeName, datagram: Datagram): Datagram => {
    if (datagram.kind !== 'leaseRequest' || datagram.body.heard === undefined) return datagram;
    const { setId, epoch, heard } = datagram.body;
    const key = `${name}/${epoch}/${heard}`;
    const proof =
      proofs.get(key) ?? signDocument(identities[name], ACTS_KIND, { setId, epoch, heard }).signature;
    proofs.set(key, proof);
    return { kind: 'leaseRequest', body: { ...datagram.body, proof } };
  };
  /** From one edge's site to the other edge, as an unreliable datagram. */
  const pushFrom =
    (name: EdgeName) =>
    (frame: Frame): void => {
      const other = name === 'A' ? 'B' : 'A';
      network.send(hosts[name], hosts[other], 'push', () => {
        edgeOf(other)?.bridge.push(frame, () => onCovered(frame));
      });
    };
  const links = (name: EdgeName, of: ContractTerms): PartyLinks => ({
    self: name,
    host: hosts[name],
    centralHost: hosts.central,
    central: () => central,
    holders,
    network,
    terms: of,
    send: (effect) => {
      sendFrom(name, effect.to, signed(name, effect.datagram));
    },
  });
  const thrown = new Set<string>();
  const piecesOf = (name: EdgeName): Pieces => {
    if (name !== 'B') return pieces;
    if (scenario.overlong?.ignores === true) return limitless(pieces);
    if (scenario.relay?.isGreedy === true) return greedy(pieces);
    if (scenario.faithless !== undefined) return lazyPieces(pieces, engine, scenario.faithless);
    if (scenario.coverage?.thief !== true) return pieces;
    const phase = (): string => B.rooms().party.phase().at;
    const fcntOf = (frame: Frame): number => motes.sent.get(frame.bytes)?.fcnt ?? 0;
    return { ...pieces, openRing: thievingRing(pieces.openRing, phase, fcntOf, thrown) };
  };
  const flood = scenario.flood && watchFlood(motes, scenario.flood);
  const ringOf = (name: EdgeName): Pieces['openRing'] => {
    const { openRing } = piecesOf(name);
    if (flood === undefined) return openRing;
    return floodedRing(openRing, pieces, flood, {
      ...{ name, trace },
      // its own service has read what is in a customer's
      acknowledged: (ring) => (name === 'A' ? diskA.service.cursor : ring.acknowledged),
      parties: () => edgeOf(name)?.parties() ?? [],
    });
  };
  const lending = (): Lend => {
    const { slots } = termsFor('B');
    const its = { network, hosts, provider: () => B, dice: dice('lending'), pieces };
    return simulateLending({ ...its, slot: slots.customer });
  };
  const edge = (
    name: EdgeName,
    disk: EdgePorts['disk'],
    contracts: readonly [Contracted, ...Contracted[]],
  ): EdgeNode => {
    const gateway = createGateway(`gateway-${name}`, scenario.gatewayLoss[name], {
      engine,
      radio,
      dice: dice(`gateway-${name}`),
      host: hosts[name],
      bridge: () => edgeOf(name)?.bridge,
      onCovered,
      alsoTo: scenario.pushToBoth === true ? pushFrom(name) : undefined,
    });
    radio.ears.push(gateway);
    const share = dice(`answers-${name}`);
    const answers = (): boolean => share.chance(engine.now > scenario.healAt ? 0.9 : scenario.answers);
    const standsFor = (devAddr: string): number =>
      devAddr === sessions[0]?.devAddr ? (scenario.unheard?.standsFor ?? 0) : 0;
    const { commandsEveryMs } = scenario;
    const lend = name === 'A' && scenario.drills !== undefined ? lending() : undefined;
    const { strays, healAt } = scenario;
    const stray = strays && strayDriver(engine, dice(`strays-${name}`), sessions, strays, healAt);
    const socketMs = strays?.socketMs;
    const options = {
      ...{ tickMs: 20, observeMs: 200, answers, commandsEveryMs, standsFor },
      ...{ lend, stray, socketMs },
    };
    const onMayAct = (epoch: number, from: number): void => {
      ports.onMayAct(epoch, from, name);
    };
    const onPhase = (phase: string): void => {
      ports.onPhase(name, phase);
    };
    return createEdge(
      {
        engine,
        host: hosts[name],
        trace,
        sessions,
        disk,
        pieces: { ...piecesOf(name), openRing: ringOf(name) },
        gateway,
        options,
        onMayAct,
        onPhase,
        onKept: (by, marks) => {
          ports.onKept(name, by, marks);
        },
      },
      contracts,
    );
  };
  const { verifies } = pieces;
  const { startMs, activateMs } = scenario;
  const providerEdge = (name: ProviderName): EdgeNode => {
    const disk = emptyDisk();
    const of = termsFor(name);
    const role = providerRole(links(name, of), {
      ...{ disk, sessions, verifies, startMs, activateMs },
      stated: misstating(scenario, name),
    });
    return edge(name, disk, [{ terms: of, role, disk: { phase: { at: 'preparing' } } }]);
  };
  const B = providerEdge('B');
  const providers = new Map<EdgeName, EdgeNode>([['B', B]]);
  if (scenario.providers.includes('C')) providers.set('C', providerEdge('C'));
  const diskA = emptyDisk();
  const part = (name: ProviderName): Contracted => {
    const of = termsFor(name);
    const role = customerRole(links('A', of), {
      disk: diskA,
      sessions,
      verifies,
      provider: () => providers.get(name) ?? B,
      rekeyed: () => {
        const contract = ledger.read(keys.contract(of.contractId)) as ContractRecord;
        return countedNow(contract, scenario.rekeying, of.set.devices.length, hosts.A.clock.wall());
      },
      fillEveryMs: 300,
      stated: misstating(scenario, 'A'),
      filter: pieces.gapSource,
      senses: pieces.senses,
    });
    const phase = { at: 'arming', keys: nothingDelivered } as const;
    return { terms: of, role, disk: { phase } };
  };
  const [first, ...more] = scenario.providers;
  const A = edge('A', diskA, [part(first), ...more.map(part)]);
  const edgeOf = (name: NodeName): EdgeNode | undefined =>
    name === 'A' ? A : providers.get(name as EdgeName);
  const contractOf = (name: ProviderName, i: number): SimContract => {
    const provider = providers.get(name) ?? B;
    return {
      terms: termsFor(name),
      name,
      provider,
      customerParty: () => A.parties()[i] ?? A.rooms().party,
      providerParty: () => provider.rooms().party,
    };
  };
  const contracts = [contractOf(first, 0), ...more.map((name, i) => contractOf(name, i + 1))] as const;
  const central: CentralNode = createCentralNode({
    host: hosts.central,
    trace,
    dice: dice('central-node'),
    contracts: [termsFor(first), ...more.map(termsFor)],
    ledger,
    disk: centralDisk,
    pieces,
    ledgerMs: scenario.ledgerMs,
    send: (to, datagram) => {
      sendFrom('central', to, datagram);
    },
    onRuling: ports.onRuling,
    onRecorded: ports.onRecorded,
    onGiven: ports.onGiven,
  });
  hosts.central.onStart(() => {
    central.start();
  });
  const attack = { ...scenario.attack, until: scenario.healAt };
  attackRadio(engine, radio, dice('radio-attacker'), sessions, attack);
  attackNetwork(engine, network, dice('network-attacker'), attack);
  if (scenario.flood !== undefined) floodRadio(engine, radio, dice('flood'), motes, scenario.flood);
  const there = { engine, trace, network, radio, motes, terms, contracts, hosts, nodes };
  const drills =
    scenario.drills === undefined
      ? undefined
      : simulateDrills({
          ...{ engine, trace, network, hosts, ledger, pieces, startMs, activateMs },
          ...{ central: () => central, dice: dice('drilling'), contract: contracts[0] },
          ...{ until: scenario.healAt, onRealKeys: ports.onRealKeys },
        });
  const fullDrills =
    scenario.fullDrills === undefined
      ? undefined
      : simulateFullDrills({
          ...{ engine, trace, network, hosts, ledger, central: () => central },
          ...{ dice: dice('full drilling'), contract: contracts[0] },
          until: scenario.healAt,
          held: (name) => (name === 'A' ? diskA : B.disk).held,
        });
  if (scenario.coverage !== undefined)
    simulateCoverage({
      ...{ engine, network, hosts, ledger, motes, scenario: scenario.coverage, customer: A },
      ...{ central: () => central, dice: dice('coverage'), contract: contracts[0] },
      loss: scenario.gatewayLoss.B,
    });
  const coverage = scenario.coverage && { thief: scenario.coverage.thief, thrown };
  return { ...there, A, providers, central, centralDisk, ledger, drills, fullDrills, coverage, flood };
}
