import type { z } from 'zod';
import type { OwnSettings } from '@antirio/edgex-service';
import type { Bus, HttpPeer, Log, RimAccess, Service } from '@antirio/host';
import type { Clock, Identity, Random } from '@antirio/kernel';
import { ROOM_KEYS, roomOf, type Role, type Room, type RoomKey } from './rooms.ts';

/** All rooms of this edge, wherever they run. */
export type Peers = Readonly<Record<RoomKey, HttpPeer>>;

/** What every room is given; each takes what it needs. */
export interface RoomPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly bus: Bus;
  readonly identity: Identity;
  readonly peers: Peers;
  readonly access: RimAccess;
}

export interface LoadedRoom {
  readonly schema: z.ZodType;
  /** What an EdgeX service takes from the environment under EdgeX's names. */
  readonly environment?: OwnSettings;
  /** Options as configured; they are checked. */
  build(options: unknown, ports: RoomPorts): Service;
}

function loaded<S extends z.ZodType>(
  schema: S,
  create: (options: z.output<S>, ports: RoomPorts) => Service,
  environment?: OwnSettings,
): LoadedRoom {
  const build: LoadedRoom['build'] = (options, ports) => create(schema.parse(options), ports);
  return { schema, build, ...(environment && { environment }) };
}

/** Each room's code is loaded only where it is to run. */
const LOADERS: Partial<Record<RoomKey, () => Promise<LoadedRoom>>> = {
  broker: async () => {
    const { brokerOptions, createBroker } = await import('@antirio/broker');
    return loaded(brokerOptions, createBroker);
  },
  coreKeeper: async () => {
    const { coreKeeperEnvironment, coreKeeperOptions, createCoreKeeper } =
      await import('@antirio/core-keeper');
    return loaded(coreKeeperOptions, createCoreKeeper, coreKeeperEnvironment);
  },
  coreMetadata: async () => {
    const { coreMetadataEnvironment, coreMetadataOptions, createCoreMetadata } =
      await import('@antirio/core-metadata');
    return loaded(coreMetadataOptions, createCoreMetadata, coreMetadataEnvironment);
  },
  coreData: async () => {
    const { coreDataEnvironment, coreDataOptions, createCoreData } = await import('@antirio/core-data');
    return loaded(coreDataOptions, createCoreData, coreDataEnvironment);
  },
  coreCommand: async () => {
    const { coreCommandEnvironment, coreCommandOptions, createCoreCommand } =
      await import('@antirio/core-command');
    return loaded(coreCommandOptions, createCoreCommand, coreCommandEnvironment);
  },
  ledger: async () => {
    const { ledgerOptions, createLedger } = await import('@antirio/ledger');
    return loaded(ledgerOptions, createLedger);
  },
  filecoinInterface: async () => {
    const { filecoinInterfaceOptions, createFilecoinInterface } = await import('@antirio/filecoin-interface');
    return loaded(filecoinInterfaceOptions, createFilecoinInterface);
  },
  edge2edge: async () => {
    const { edge2edgeOptions, createEdge2Edge } = await import('@antirio/edge2edge');
    return loaded(edge2edgeOptions, createEdge2Edge);
  },
  gatewayBridge: async () => {
    const { gatewayBridgeOptions, createGatewayBridge } = await import('@antirio/gateway-bridge');
    return loaded(gatewayBridgeOptions, createGatewayBridge);
  },
  migration: async () => {
    const { createMigration, migrationOptions } = await import('@antirio/migration');
    return loaded(migrationOptions, createMigration);
  },
  orchestrator: async () => {
    const { orchestratorOptions, createOrchestrator } = await import('@antirio/orchestrator');
    return loaded(orchestratorOptions, createOrchestrator);
  },
  fleet: async () => {
    const { createFleet, fleetOptions } = await import('@antirio/fleet');
    return loaded(fleetOptions, createFleet);
  },
  ledgerApp: async () => {
    const { createLedgerApp, ledgerAppOptions } = await import('@antirio/ledger');
    return loaded(ledgerAppOptions, createLedgerApp);
  },
  marketplace: async () => {
    const { createMarketplace, marketplaceOptions } = await import('@antirio/marketplace');
    return loaded(marketplaceOptions, createMarketplace);
  },
  dmu: async () => {
    const { createDmu, dmuOptions } = await import('@antirio/dmu');
    return loaded(dmuOptions, createDmu);
  },
  arbitrator: async () => {
    const { arbitratorOptions, createArbitrator } = await import('@antirio/arbitrator');
    return loaded(arbitratorOptions, createArbitrator);
  },
  deviceLora: async () => {
    const { createDeviceLora, deviceLoraOptions } = await import('@antirio/device-lora');
    return loaded(deviceLoraOptions, createDeviceLora);
  },
};

/** A room with its code. */
export type RunnableRoom = Room & { readonly load: () => Promise<LoadedRoom> };

/** In the order in which they start. */
export function allRooms(): RunnableRoom[] {
  return ROOM_KEYS.flatMap((key) => {
    const load = LOADERS[key];
    return load === undefined ? [] : [{ ...roomOf(key), load }];
  });
}

export function roomNamed(name: string): RunnableRoom | undefined {
  return allRooms().find((room) => room.name === name);
}

export function roomsOf(role: Role): RunnableRoom[] {
  return allRooms().filter(({ roles }) => roles.includes(role));
}

export function roomNames(): string[] {
  return allRooms().map(({ name }) => name);
}
