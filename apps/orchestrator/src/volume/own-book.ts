import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { callJson, type HttpPeer, type Log } from '@antirio/host';
import {
  AntirioError,
  fromHex,
  isAntirioError,
  type Clock,
  type Identity,
  type Random,
} from '@antirio/kernel';
import { versionVolumeKey, volumesIn, wrappedVersions, type NamedVolumes } from '@antirio/service-contract';
import type { OrchestratorOptions, OwnVolume } from '../options.ts';
import type { OrchestratorStore } from '../store.ts';
import type { VolumeFolder } from './archive.ts';
import { runHooks, type HookName } from './hooks.ts';
import type { VolumeKeys } from './sealed-file.ts';
import type { VolumeObjects } from './volume-objects.ts';
import { ownKey, type OwnVolumes } from './volume-records.ts';

export interface OwnVolumePorts {
  readonly dataDir: string;
  readonly options: Pick<OrchestratorOptions, 'volumes' | 'configuration'>;
  readonly store: Pick<OrchestratorStore, 'volumes' | 'customers'>;
  readonly objects: () => VolumeObjects;
  readonly identity: () => Identity;
  readonly peers: () => { readonly arbitrator: HttpPeer; readonly edge2edge: HttpPeer };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A contract with volumes as the arbitrator sees it. */
export const ownContract = z.looseObject({
  contractId: z.string(),
  provider: z.string(),
  phase: z.string(),
  /** Whose volumes are to come home, of that epoch. */
  providerEpoch: z.int().optional(),
  keyVersion: z.int(),
  key: z.string(),
});
export type OwnContract = z.output<typeof ownContract>;
type Named = Pick<OwnContract, 'contractId' | 'provider'>;

/** Errors that no further attempt mends. */
export const isFinal = (error: unknown): boolean =>
  (['corrupt', 'tooLarge', 'invalidInput', 'unauthenticated'] as const).some((code) =>
    isAntirioError(error, code),
  );

/** What is known of the own volumes, and where they are. */
export class OwnBook {
  readonly ports: OwnVolumePorts;

  constructor(ports: OwnVolumePorts) {
    this.ports = ports;
  }

  all(): OwnVolumes[] {
    const all = this.ports.store.volumes.all();
    return all.filter((one): one is OwnVolumes => one.key === ownKey(one.contractId));
  }

  of(contractId: string): OwnVolumes | undefined {
    return this.ports.store.volumes.get(ownKey(contractId)) as OwnVolumes | undefined;
  }

  known({ contractId, provider }: Named): OwnVolumes {
    const since = this.ports.clock.now();
    const fresh = {
      key: ownKey(contractId),
      contractId,
      provider,
      seq: 0,
      digests: [],
      kept: [],
      letGo: [],
      since,
    };
    return this.of(contractId) ?? fresh;
  }

  put(record: OwnVolumes): OwnVolumes {
    return this.ports.store.volumes.put(record) as OwnVolumes;
  }

  named(contractId: string): NamedVolumes {
    const record = this.ports.store.customers.all().find((one) => one.contractId === contractId);
    return record === undefined
      ? this.ports.options.configuration.namedVolumes
      : volumesIn(record.configuration).named;
  }

  /** @throws AntirioError badConfig where this edge's configuration says no folder for one */
  places(contractId: string): (readonly [string, OwnVolume])[] {
    return Object.keys(this.named(contractId)).map((name) => {
      const place = this.ports.options.volumes[name];
      if (place === undefined)
        throw new AntirioError('badConfig', `orchestrator.volumes has no folder for the volume ${name}`, {
          name,
        });
      return [name, place] as const;
    });
  }

  /** Those of them that there are folders for. */
  placesHere(contractId: string): (readonly [string, OwnVolume])[] {
    return Object.keys(this.named(contractId)).flatMap((name) => {
      const place = this.ports.options.volumes[name];
      return place === undefined ? [] : [[name, place] as const];
    });
  }

  folders(contractId: string): VolumeFolder[] {
    const named = this.named(contractId);
    return this.places(contractId).map(([name, { path }]) => {
      return { name, dir: path, maxBytes: named[name]?.maxBytes ?? 0 };
    });
  }

  /** For what is on its way. */
  dir(contractId: string): string {
    const dir = join(this.ports.dataDir, 'volumes', `own-${contractId}`);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return dir;
  }

  hook(name: HookName, { contractId }: Pick<OwnContract, 'contractId'>): Promise<void> {
    const places = name === 'start' ? this.placesHere(contractId) : this.places(contractId);
    return runHooks(
      name,
      places.map(([, place]) => place),
    );
  }

  keysFor({ key, keyVersion }: OwnContract, versions = wrappedVersions(keyVersion)): VolumeKeys {
    return new Map(versions.map((version) => [version, fromHex(versionVolumeKey(key, version), 32)]));
  }

  ask(
    { contractId, provider }: Named,
    method: 'GET' | 'POST',
    query: string,
    json?: unknown,
  ): Promise<unknown> {
    const path = `/edge2edge/peer/${provider}/orchestrator/orchestrator/v1/guest/${contractId}/snapshot${query}`;
    return callJson(this.ports.peers().edge2edge, { method, path, ...(json === undefined ? {} : { json }) });
  }
}
