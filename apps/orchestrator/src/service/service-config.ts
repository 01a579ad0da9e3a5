import { join } from 'node:path';
import { contractLogin, contractPassword } from '@antirio/bus';
import { canonicalBytes, sha256Hex } from '@antirio/kernel';
import type { Limits, ServiceSpec, ServiceView } from '@antirio/runtime';
import { BUS_SOCKET, HTTP_SOCKET, SERVICE_SOCKET } from '../rim/foreign-rim.ts';
import type { ServiceFolders } from './folders.ts';
import type { ServiceRecord } from './service-record.ts';

/** Topics of a contract's own part of the bus begin so. */
export function topicPrefix(contractId: string): string {
  return `${contractLogin(contractId)}/`;
}

/** What a service is made from: another one means another instance. */
export function settingsKey(record: ServiceRecord, imageId: string): string {
  return sha256Hex(canonicalBytes({ imageId, service: record.service, limits: record.limits ?? null }));
}

/** What tells a version's topics of control and status apart; the first version has none. */
export function instanceOf({ serviceId, contractId }: ServiceRecord): string | undefined {
  return serviceId === contractId ? undefined : serviceId.slice(contractId.length + 1);
}

export function controlTopic(record: ServiceRecord): string {
  const instance = instanceOf(record);
  const base = `${topicPrefix(record.contractId)}antirio/service/${record.service.serviceName}`;
  return instance === undefined ? `${base}/control` : `${base}/${instance}/control`;
}

/**
 * `config.json` of a foreign service: the customer's words for its sensors, and the rim's for everything around it. It starts in
 * shadow, without secrets, whatever the customer's own configuration says.
 */
export function foreignConfig(record: ServiceRecord, view: ServiceView, brokerSecret: Uint8Array): unknown {
  const { configuration: _, secretsFile: _theirs, ringUrl: _far, ...service } = record.service;
  const username = contractLogin(record.contractId);
  const instance = instanceOf(record);
  const core = { socket: join(view.runDir, HTTP_SOCKET) };
  return {
    ...service,
    bus: {
      socket: join(view.runDir, BUS_SOCKET),
      username,
      password: contractPassword(brokerSecret, username),
    },
    prefix: topicPrefix(record.contractId),
    ...(instance === undefined ? {} : { instance }),
    north: { coreData: core, coreMetadata: core },
    listen: { socket: join(view.runDir, SERVICE_SOCKET) },
    dataDir: view.dataDir,
    ring: record.contractId,
    startState: 'shadow',
  };
}

export function specOf(
  record: ServiceRecord,
  imageId: string,
  folders: ServiceFolders,
  limits: Limits,
): ServiceSpec {
  const { serviceId, epoch } = record;
  return { id: serviceId, epoch, imageId, ...folders, env: {}, limits: record.limits ?? limits };
}
