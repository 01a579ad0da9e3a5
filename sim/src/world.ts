import type { EdgeId } from '@antirio/kernel';
import type { ContractTerms, Datagram } from '@antirio/service-contract';
import { attackNetwork, attackRadio } from './attackers.ts';
import { createCentralNode, type CentralDisk, type CentralNode } from './central-node.ts';
import { customerRole } from './customer-role.ts';
import { createEdge, emptyDisk, type EdgeNode, type EdgePorts, type Role } from './edge.ts';
import { createEngine, type Engine } from './engine.ts';
import { setLinks } from './faults.ts';
import type { Frame } from './frames.ts';
import { createGateway } from './gateway.ts';
import { createHost, type Host } from './host.ts';
import { identities } from './identities.ts';
import { createLedger, type SimLedger } from './ledger.ts';
import { createMotes, type Motes } from './motes.ts';
import { createNetwork, type Network } from './network.ts';
import type { Pieces } from './pieces.ts';
import { providerRole, type PartyLinks } from './provider-role.ts';
import { createRadio, type Radio } from './radio.ts';
import { rollDice, type Dice } from './random.ts';
import type { NodeName, Scenario } from './scenario.ts';
import { createTrace, type Trace } from './trace.ts';

/** A whole simulated world, before anything has happened in it. */
export interface World {
  readonly engine: Engine;
  readonly trace: Trace;
  readonly network: Network;
  readonly radio: Radio;
  readonly motes: Motes;
  readonly terms: ContractTerms;
  readonly hosts: Readonly<Record<NodeName, Host>>;
  readonly A: EdgeNode;
  readonly B: EdgeNode;
  readonly central: CentralNode;
  readonly centralDisk: CentralDisk;
  readonly ledger: SimLedger;
}

export interface WorldPorts {
  readonly pieces: Pieces;
  readonly keepLines: boolean;
  readonly onMayAct: (epoch: number, from: number, by: NodeName) => void;
  readonly onPhase: (node: NodeName, phase: string) => void;
  readonly onRuling: (overMs: number) => void;
}

const nameOf = new Map<EdgeId, NodeName>([
  [identities.A.edgeId, 'A'],
  [identities.B.edgeId, 'B'],
  [identities.central.edgeId, 'central'],
]);

interface Ground {
  readonly engine: Engine;
  readonly trace: Trace;
  readonly dice: (part: string) => Dice;
  readonly radio: Radio;
  readonly hosts: Readonly<Record<NodeName, Host>>;
  readonly network: Network;
}

function layGround(scenario: Scenario, keepLines: boolean): Ground {
  const engine = createEngine();
  const trace = createTrace(() => engine.now, keepLines);
  const dice = (part: string): Dice => rollDice(scenario.seed, part);
  const host = (name: NodeName): Host =>
    createHost(engine, trace, dice(name), { name, rate: scenario.rates[name], fsyncMs: scenario.fsyncMs });
  const hosts = { A: host('A'), B: host('B'), central: host('central') };
  const network = createNetwork(engine, trace, dice('network'), new Map(Object.entries(hosts)));
  setLinks(network, scenario);
  return { engine, trace, dice, radio: createRadio(engine, trace, dice('radio')), hosts, network };
}

export function createWorld(scenario: Scenario, ports: WorldPorts): World {
  const ground = layGround(scenario, ports.keepLines);
  const { engine, trace, dice, radio, hosts, network } = ground;
  const { pieces } = ports;
  const motes = createMotes(engine, radio, dice('motes'), scenario.motes);
  const sessions = motes.motes.map((mote) => mote.session);
  const terms = scenario.terms(sessions.map(({ devEui, devAddr }) => ({ devEui, devAddr })));
  const ledger = createLedger(terms, dice('ledger'), hosts.central.clock.wall());
  const centralDisk: CentralDisk = { shareHeld: false, blocks: new Map() };

  const deliver = (to: NodeName, from: EdgeId, datagram: Datagram): void => {
    if (to === 'central') central.onDatagram(from, datagram);
    else edges[to].onDatagram(from, datagram);
  };
  const sendFrom = (name: NodeName, to: EdgeId, datagram: Datagram): void => {
    const target = nameOf.get(to);
    if (target === undefined) return;
    trace.note(name, datagram.kind, () => `to ${target} ${JSON.stringify(datagram.body)}`, 'fine');
    network.send(hosts[name], hosts[target], datagram.kind, () => {
      deliver(target, identities[name].edgeId, datagram);
    });
  };
  const onCovered = (frame: Frame): void => {
    const sent = motes.sent.get(frame.bytes);
    if (sent !== undefined) sent.covered = true;
  };
  const links = (name: 'A' | 'B'): PartyLinks => ({
    host: hosts[name],
    centralHost: hosts.central,
    central: () => central,
    network,
    terms,
    send: (effect) => {
      sendFrom(name, effect.to, effect.datagram);
    },
  });
  const edge = (name: 'A' | 'B', disk: EdgePorts['disk'], role: Role): EdgeNode => {
    const gateway = createGateway(`gateway-${name}`, scenario.gatewayLoss[name], {
      engine,
      radio,
      dice: dice(`gateway-${name}`),
      host: hosts[name],
      bridge: () => edges[name].bridge,
      onCovered,
    });
    radio.ears.push(gateway);
    const share = dice(`answers-${name}`);
    const answers = (): boolean => share.chance(engine.now > scenario.healAt ? 0.9 : scenario.answers);
    const options = { tickMs: 20, observeMs: 200, answers, commandsEveryMs: scenario.commandsEveryMs };
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
        terms,
        sessions,
        disk,
        pieces,
        gateway,
        options,
        onMayAct,
        onPhase,
      },
      role,
    );
  };
  const diskA = emptyDisk({ at: 'arming', keysWithProvider: false, keysWithCentral: false });
  const diskB = emptyDisk({ at: 'preparing' });
  const { verifies } = pieces;
  const { startMs, activateMs } = scenario;
  const edges: { readonly A: EdgeNode; readonly B: EdgeNode } = {
    B: edge('B', diskB, providerRole(links('B'), { disk: diskB, sessions, verifies, startMs, activateMs })),
    A: edge(
      'A',
      diskA,
      customerRole(links('A'), {
        disk: diskA,
        sessions,
        verifies,
        provider: () => edges.B,
        fillEveryMs: 300,
        filter: pieces.gapSource,
      }),
    ),
  };
  const central: CentralNode = createCentralNode({
    host: hosts.central,
    trace,
    dice: dice('central-node'),
    terms,
    ledger,
    disk: centralDisk,
    pieces,
    ledgerMs: scenario.ledgerMs,
    send: (to, datagram) => {
      sendFrom('central', to, datagram);
    },
    onRuling: ports.onRuling,
  });
  hosts.central.onStart(() => {
    central.start();
  });
  const attack = { ...scenario.attack, until: scenario.healAt };
  attackRadio(engine, radio, dice('radio-attacker'), sessions, attack);
  attackNetwork(engine, network, dice('network-attacker'), attack);
  return { engine, trace, network, radio, motes, terms, hosts, ...edges, central, centralDisk, ledger };
}
