import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type Bus,
  type HttpAnswer,
  type HttpCall,
  type HttpPeer,
} from '@antirio/host';
import { coreMetadataOptions, createCoreMetadata, type CoreMetadata } from './index.ts';

export const apiVersion = 'v3';
export const serviceRequest = (name = 'svc', fields = {}): unknown => ({
  apiVersion,
  service: {
    name,
    adminState: 'UNLOCKED',
    baseAddress: 'http://localhost:59999/prefix',
    labels: ['lora'],
    ...fields,
  },
});
export const properties = { valueType: 'float32', readWrite: 'RW', units: 'C' };
export const profile = (name = 'p', fields = {}): Record<string, unknown> => ({
  name,
  manufacturer: 'maker',
  model: 'one',
  labels: ['x', 'y'],
  deviceResources: [
    { name: 'temperature', properties },
    { name: 'humidity', properties: { ...properties, readWrite: 'R' } },
  ],
  deviceCommands: [
    {
      name: 'both',
      readWrite: 'R',
      resourceOperations: [{ deviceResource: 'temperature' }, { deviceResource: 'humidity' }],
    },
  ],
  ...fields,
});
export const profileRequest = (name = 'p', fields = {}): unknown => ({
  apiVersion,
  profile: profile(name, fields),
});
export const deviceRequest = (name = 'd', fields = {}): unknown => ({
  apiVersion,
  device: {
    name,
    adminState: 'UNLOCKED',
    operatingState: 'UP',
    serviceName: 'svc',
    profileName: 'p',
    protocols: { lorawan: { DevEUI: '00aa' } },
    ...fields,
  },
});
export const watcherRequest = (name = 'w', fields = {}): unknown => ({
  apiVersion,
  provisionwatcher: {
    name,
    serviceName: 'svc',
    identifiers: { address: 'localhost' },
    adminState: 'UNLOCKED',
    discoveredDevice: { profileName: 'p', adminState: 'UNLOCKED' },
    ...fields,
  },
});

export type Json = Record<string, unknown>;
export type Items = (Json & { statusCode: number; id?: string; message?: string })[] | null;

export const statuses = (items: Items): unknown => items?.map((item) => item.statusCode);
export const names = (answer: Json, field: string): unknown =>
  (answer[field] as { name: string }[]).map((one) => one.name);

/** A room with its own folder and bus for each test of a file. */
export class Fixture {
  bus!: Bus;
  peer!: HttpPeer;
  room!: CoreMetadata;
  #dataDir = '';

  constructor() {
    let broker: Broker;
    beforeAll(async () => {
      broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
      await broker.start();
    });
    afterAll(() => broker.stop());
    beforeEach(async () => {
      this.#dataDir = mkdtempSync(join(tmpdir(), 'antirio-core-metadata-'));
      this.bus = createLocalBus(broker, silentLog);
      await this.start();
    });
    afterEach(async () => {
      await this.stop();
      await this.bus.close();
      rmSync(this.#dataDir, { recursive: true });
    });
  }

  async start(options: Json = {}, peers: Record<string, HttpPeer> = {}): Promise<void> {
    const fixed = { dataDir: this.#dataDir, port: 0, deviceValidation: { timeoutMs: 150 } };
    const ports = { clock: systemClock, random: systemRandom, log: silentLog, bus: this.bus, peers };
    this.room = createCoreMetadata(coreMetadataOptions.parse({ ...fixed, ...options }), ports);
    await this.room.start();
    this.peer = httpPeer({ url: `http://127.0.0.1:${this.room.port}/api/v3` });
  }

  async stop(): Promise<void> {
    this.peer.close();
    await this.room.stop();
  }

  /** From now on every statement fails, as where the file was damaged; secrets cannot be written either. */
  breakStore(): void {
    const db = new DatabaseSync(join(this.#dataDir, 'core-metadata', 'metadata.db'));
    db.exec('DROP TABLE entity_label; DROP TABLE entity; DROP TABLE probe');
    db.close();
    mkdirSync(join(this.#dataDir, 'core-metadata', 'secrets.json.new'));
  }

  async send(method: HttpCall['method'], path: string, json: unknown): Promise<Items> {
    const answer = await this.peer.call({ method, path, json });
    expect(answer.status).toBe(207);
    return answer.json() as Items;
  }

  get(path: string): Promise<HttpAnswer> {
    return this.peer.call({ path });
  }

  async body(path: string): Promise<Json> {
    return (await this.get(path)).json() as Json;
  }

  async remove(path: string): Promise<number> {
    return (await this.peer.call({ method: 'DELETE', path })).status;
  }

  /** A service, a profile and a device. */
  async seed(): Promise<void> {
    expect(statuses(await this.send('POST', '/deviceservice', [serviceRequest()]))).toEqual([201]);
    expect(statuses(await this.send('POST', '/deviceprofile', [profileRequest()]))).toEqual([201]);
    expect(statuses(await this.send('POST', '/device?bypassValidation=true', [deviceRequest()]))).toEqual([
      201,
    ]);
  }
}
