import type { ContractTerms } from '@antirio/service-contract';
import type { CentralDisk } from './central-node.ts';
import type { EdgeNode } from './edge.ts';
import type { Engine } from './engine.ts';
import type { Host } from './host.ts';
import type { SimLedger } from './ledger.ts';
import type { Link, Network } from './network.ts';
import { hold, tellToReturn, tellToTakeOver, tellToYield } from './operator.ts';
import type { EdgeName, Fault, Harm, NodeName, Scenario } from './scenario.ts';
import type { Trace } from './trace.ts';

export interface FaultPorts {
  readonly engine: Engine;
  readonly trace: Trace;
  readonly network: Network;
  readonly hosts: Readonly<Record<NodeName, Host>>;
  readonly centralDisk: CentralDisk;
  readonly ledger: SimLedger;
  readonly A: EdgeNode;
  readonly providers: ReadonlyMap<EdgeName, EdgeNode>;
  readonly nodes: readonly NodeName[];
  readonly terms: ContractTerms;
  readonly drills: { tell(): void } | undefined;
  readonly fullDrills: { tell(): void } | undefined;
  /** Calls back at each phase that an edge's machine comes to. */
  readonly onPhase: (listen: (node: NodeName, phase: string) => void) => void;
  /** Something was broken or mended. */
  readonly onChange: () => void;
}

function* pairs(names: readonly NodeName[]): Iterable<readonly [NodeName, NodeName]> {
  for (const from of names) for (const to of names) if (from !== to) yield [from, to];
}

/** Faults of one kind on one thing may overlap: it is well again when the last one is over. */
function createNesting(): (key: string, by: 1 | -1) => number {
  const depth = new Map<string, number>();
  return (key, by) => {
    const now = Math.max(0, (depth.get(key) ?? 0) + by);
    depth.set(key, now);
    return now;
  };
}

export function setLinks(network: Network, nodes: readonly NodeName[], { links }: Scenario): void {
  for (const [from, to] of pairs(nodes)) Object.assign(network.link(from, to), links);
}

/** Everything is up, linked, quick and in time again. */
export function heal(ports: FaultPorts): void {
  const { network, hosts, nodes, trace, onChange } = ports;
  trace.note('world', 'HEALED');
  const well: Link = {
    cut: false,
    loss: 0,
    duplication: 0,
    latencyMs: 2,
    jitterMs: 2,
    resets: 0,
  };
  for (const [from, to] of pairs(nodes)) Object.assign(network.link(from, to), well);
  if (!ports.ledger.isWhole()) {
    hosts.central.crash('its newest ledger is brought back');
    ports.ledger.makeWhole();
  }
  for (const name of nodes) {
    hosts[name].crashAfterSteps(0);
    hosts[name].slowDisk(1);
    hosts[name].fillDisk(false);
    hosts[name].clock.setWall();
    hosts[name].wake();
    hosts[name].start();
  }
  ports.A.disk.deaf = false;
  ports.A.disk.bridgeDead = false;
  ports.A.disk.busy = false;
  ports.centralDisk.mute = false;
  for (const { gateway } of ports.providers.values()) gateway.dead = false;
  for (const edge of [ports.A, ...ports.providers.values()]) {
    edge.disk.hung = false;
    hold(edge, false);
  }
  comeHome(ports);
  onChange();
}

/** A bridge that starts again begins with a fence that is shut. */
function shutFence({ A, terms }: FaultPorts): void {
  if (!A.host.up) return;
  const devAddrs = terms.set.devices.map(({ devAddr }) => devAddr);
  A.rooms().fence.set(devAddrs, { state: 'shut' });
}

const LOOK_EVERY_MS = 500;

/** The operators want everything back where it was. */
function comeHome(ports: FaultPorts): void {
  tellToReturn(ports.A);
  ports.engine.after(LOOK_EVERY_MS, () => {
    comeHome(ports);
  });
}

/** Brings the scenario's faults about, each at its time. */
export function scheduleFaults(ports: FaultPorts, scenario: Scenario): void {
  const { engine, trace, network, hosts, nodes, ledger, onChange } = ports;
  const edgeOf = (name: EdgeName): EdgeNode => ports.providers.get(name) ?? ports.A;
  const nest = createNesting();
  const backups: { readonly at: number; readonly blocks: Map<string, number> }[] = [];
  const backUp = (): void => {
    backups.push({ at: engine.now, blocks: new Map(ports.centralDisk.blocks) });
    if (engine.now < scenario.healAt) engine.after(4000, backUp);
  };
  engine.after(1000, backUp);
  const copies: {
    readonly at: number;
    readonly height: number;
    readonly disks: Map<NodeName, () => void>;
  }[] = [];
  const copyDisks = (): void => {
    const edges = [['A', ports.A] as const, ...ports.providers];
    copies.push({
      at: engine.now,
      height: ledger.head().height,
      disks: new Map(edges.map(([name, edge]) => [name, edge.backUp()])),
    });
    if (engine.now < scenario.healAt) engine.after(2000, copyDisks);
  };
  if (scenario.faults.some(({ kind }) => kind === 'oldLedger' || kind === 'oldDisk'))
    engine.after(6000, copyDisks);

  /** Until the fault is over, or everything is healed. */
  const during = (forMs: number, end: () => void): void => {
    engine.after(forMs, () => {
      if (engine.now < scenario.healAt) end();
      onChange();
    });
    onChange();
  };
  const restart = (node: NodeName, forMs: number): void => {
    during(forMs, () => {
      hosts[node].start();
    });
  };
  // eslint-disable-next-line complexity -- one case for each kind of fault, each a few lines
  const begin = (fault: Harm): void => {
    if (fault.kind !== 'killBetweenWrites') trace.note('world', describe(fault));
    switch (fault.kind) {
      case 'kill':
        hosts[fault.node].crash('SIGKILL');
        restart(fault.node, fault.forMs);
        return;
      case 'killBetweenWrites': {
        const host = hosts[fault.node];
        host.crashAfterSteps(fault.steps);
        const watch = (): void => {
          if (!host.up) restart(fault.node, fault.forMs);
          else if (engine.now < scenario.healAt) engine.after(50, watch);
        };
        watch();
        return;
      }
      case 'freeze':
        hosts[fault.node].freeze();
        during(fault.forMs, () => {
          hosts[fault.node].wake();
        });
        return;
      case 'hungArbitrator': {
        const { disk } = edgeOf(fault.node);
        disk.hung = true;
        during(fault.forMs, () => {
          disk.hung = false;
        });
        return;
      }
      case 'cut':
        for (const [from, to] of fault.links) network.link(from, to).cut = nest(`${from}>${to}`, 1) > 0;
        during(fault.forMs, () => {
          for (const [from, to] of fault.links) network.link(from, to).cut = nest(`${from}>${to}`, -1) > 0;
        });
        return;
      case 'slowDisk':
        hosts[fault.node].slowDisk(fault.factor);
        during(fault.forMs, () => {
          hosts[fault.node].slowDisk(1);
        });
        return;
      case 'fullDisk':
        hosts[fault.node].fillDisk(true);
        during(fault.forMs, () => {
          hosts[fault.node].fillDisk(false);
        });
        return;
      case 'badLinks':
        for (const [from, to] of pairs(nodes))
          Object.assign(network.link(from, to), { loss: fault.loss, latencyMs: fault.latencyMs });
        during(fault.forMs, () => {
          const { loss, latencyMs } = scenario.links;
          for (const [from, to] of pairs(nodes)) Object.assign(network.link(from, to), { loss, latencyMs });
        });
        return;
      case 'planned':
        tellToYield(hosts.A, ports.A.rooms(), ports.terms, 'planned');
        during(fault.forMs, () => {
          tellToReturn(ports.A);
        });
        return;
      case 'drill':
        ports.drills?.tell();
        return;
      case 'fullDrill':
        ports.fullDrills?.tell();
        return;
      case 'lastGasp':
        tellToYield(hosts.A, ports.A.rooms(), ports.terms, 'terminating');
        engine.after(fault.inMs, () => {
          if (engine.now >= scenario.healAt) return;
          hosts.A.crash('its last gasp is over');
          restart('A', fault.forMs);
        });
        return;
      case 'deaf':
        ports.A.disk.deaf = true;
        during(fault.forMs, () => {
          ports.A.disk.deaf = false;
        });
        return;
      case 'deadBridge':
        ports.A.disk.bridgeDead = true;
        // one that hangs goes on with the fence that it had
        if (!fault.hangs) shutFence(ports);
        during(fault.forMs, () => {
          ports.A.disk.bridgeDead = false;
        });
        return;
      case 'busy':
        ports.A.disk.busy = true;
        during(fault.forMs, () => {
          ports.A.disk.busy = false;
        });
        return;
      case 'takeoverTold':
        tellToTakeOver(edgeOf('B'));
        return;
      case 'hold':
        hold(edgeOf(fault.node), true);
        during(fault.forMs, () => {
          hold(edgeOf(fault.node), false);
        });
        return;
      case 'deadGateway': {
        const { gateway } = edgeOf(fault.node);
        gateway.dead = true;
        during(fault.forMs, () => {
          gateway.dead = false;
        });
        return;
      }
      case 'muteCentre':
        ports.centralDisk.mute = true;
        during(fault.forMs, () => {
          ports.centralDisk.mute = false;
        });
        return;
      case 'wallJump':
        hosts[fault.node].clock.jumpWall(fault.byMs);
        return;
      case 'oldLedger':
        hosts.central.crash('its ledger is lost');
        ledger.restore(
          copies.find(({ at }) => engine.now - at <= fault.agoMs)?.height ?? ledger.head().height,
        );
        engine.after(fault.downMs, () => {
          hosts.central.start();
        });
        during(fault.forMs, () => {
          hosts.central.crash('its newest ledger is brought back');
          ledger.makeWhole();
          hosts.central.start();
        });
        return;
      case 'oldDisk':
        hosts[fault.node].crash('its disk is lost');
        copies.find(({ at }) => engine.now - at <= fault.agoMs)?.disks.get(fault.node)?.();
        restart(fault.node, fault.forMs);
        return;
      case 'oldBackup': {
        const old = backups[0];
        hosts.central.crash('its disk is lost');
        if (old !== undefined) ports.centralDisk.blocks = new Map(old.blocks);
        restart('central', fault.forMs);
      }
    }
  };
  const awaited = new Set<Fault>();
  for (const fault of scenario.faults) {
    if (!('at' in fault.when)) awaited.add(fault);
    // nothing begins once all is healed: nobody would end it
    else if (fault.when.at < scenario.healAt)
      engine.at(fault.when.at, () => {
        begin(fault);
      });
  }
  ports.onPhase((node, phase) => {
    for (const fault of awaited) {
      const { when } = fault;
      if ('at' in when || when.node !== node || when.enters !== phase) continue;
      if (engine.now < (when.notBefore ?? 0)) continue;
      awaited.delete(fault);
      if (engine.now + when.delayMs < scenario.healAt)
        engine.after(when.delayMs, () => {
          begin(fault);
        });
    }
  });
}

function describe(fault: Harm): string {
  switch (fault.kind) {
    case 'cut':
      return `FAULT cut ${fault.links.map((pair) => pair.join('>')).join(' ')} for ${Math.round(fault.forMs)} ms`;
    case 'badLinks':
      return `FAULT bad links for ${Math.round(fault.forMs)} ms`;
    case 'wallJump':
      return `FAULT wall clock of ${fault.node} jumps by ${Math.round(fault.byMs)} ms`;
    case 'oldLedger':
      return `FAULT the ledger is as it was ${Math.round(fault.agoMs)} ms ago, for ${Math.round(fault.forMs)} ms`;
    case 'oldBackup':
      return 'FAULT central restored from an old backup';
    case 'takeoverTold':
      return 'B is told to take over';
    case 'drill':
    case 'fullDrill':
      return `A is told to begin a ${fault.kind}`;
    default:
      return `FAULT ${fault.kind} ${'node' in fault ? fault.node : 'of A'} for ${Math.round(fault.forMs)} ms`;
  }
}
