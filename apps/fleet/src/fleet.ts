import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  createHttpRim,
  readFileIfThere,
  writeFileDurably,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Service,
} from '@antirio/host';
import { AntirioError, fromUtf8, sha256Hex, utf8 } from '@antirio/kernel';
import { writeBuildContext } from '@antirio/runtime';
import { appendedContracts, appendService, checkCompose, removeService, serviceName } from './compose.ts';
import { VERSION, type FleetOptions, type FleetPorts } from './options.ts';
import { openPushes, type Pushes } from './push.ts';

export interface Fleet extends Service {
  readonly port: number;
}

const contractId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be a contract id: it becomes a service’s name');
const contractParams = z.object({ contractId });
const composeBody = z.strictObject({
  compose: z.string().describe('docker-compose.yml'),
  etag: z
    .string()
    .optional()
    .describe('of the one that it replaces, so that two writers do not undo each other'),
});

/** What migration says of an image that it has fetched, as far as it matters here. */
const fetched = z.object({
  archive: z.string().optional(),
  imageCid: z.string(),
  configuration: z
    .looseObject({
      serviceName: z.string(),
      ports: z.string().default(''),
      volumes: z.string().default(''),
      depends_on: z.array(z.string()).default([]),
      services: z.record(z.string(), z.unknown()).default({}),
    })
    .nullable(),
});

const COMPOSE = 'docker-compose.yml';

/** Folder that is pushed: the compose file, and a build context for each service that came by a contract. */
class FleetSource {
  readonly folder: string;

  constructor(dir: string) {
    this.folder = join(dir, 'source');
    mkdirSync(this.folder, { recursive: true });
    writeFileDurably(join(this.folder, '.dockerignore'), '**/*.partial\n');
  }

  /** @throws AntirioError notFound before one was put here */
  read(): { readonly compose: string; readonly etag: string } {
    const bytes = readFileIfThere(join(this.folder, COMPOSE));
    if (bytes === undefined)
      throw new AntirioError(
        'notFound',
        'there is no docker-compose.yml of the fleet yet: PUT /fleet/v1/compose',
      );
    const compose = fromUtf8(bytes);
    return { compose, etag: sha256Hex(utf8(compose)).slice(0, 32) };
  }

  write(compose: string): { readonly compose: string; readonly etag: string } {
    checkCompose(compose);
    writeFileDurably(join(this.folder, COMPOSE), compose, 0o644);
    return this.read();
  }

  /** Where the build context of a contract's service is, from the compose file. */
  contextOf(id: string): string {
    return join('contracts', id);
  }

  removeContext(id: string): void {
    rmSync(join(this.folder, this.contextOf(id)), { recursive: true, force: true });
  }
}

class FleetRoom implements Fleet {
  readonly name = 'fleet';
  port = 0;
  readonly #options: FleetOptions;
  readonly #source: FleetSource;
  readonly #pushes: Pushes;
  readonly #migration: HttpPeer;
  readonly #rim: HttpRim;
  /** One change of the compose file after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: FleetOptions, { clock, log: given, peers, access }: FleetPorts) {
    const log = given.child({ room: 'fleet' });
    const dir = join(options.dataDir, 'fleet');
    const { migration } = peers;
    if (migration === undefined) throw new AntirioError('badConfig', 'the fleet needs the peer migration');
    this.#options = options;
    this.#migration = migration;
    this.#source = new FleetSource(dir);
    const { fleet, command, pushTimeoutMs: timeoutMs } = options;
    this.#pushes = openPushes({ dir, folder: this.#source.folder, fleet, command, timeoutMs, clock, log });
    this.#rim = createHttpRim({
      serviceKey: 'fleet',
      version: VERSION,
      config: () => options,
      health: () => this.health(),
      log,
      clock,
      access,
    });
    this.#addRoutes();
  }

  health(): Health {
    const push = this.#pushes.newest();
    const detail =
      push === undefined ? 'nothing was pushed yet' : `push ${push.id}: ${push.error ?? push.state}`;
    return { store: { ok: true }, push: { ok: true, detail } };
  }

  async start(): Promise<void> {
    this.port = await this.#rim.listen(this.#options.port, this.#options.bind);
  }

  async stop(): Promise<void> {
    await this.#rim.close();
    await this.#pushes.stop();
  }

  #addRoutes(): void {
    const rim = this.#rim;
    const source = this.#source;
    rim.route('get', '/fleet/v1/compose', { summary: 'the fleet’s docker-compose.yml' }, () => source.read());
    const put = { summary: 'put the fleet’s docker-compose.yml in its place', body: composeBody };
    rim.route('put', '/fleet/v1/compose', put, ({ body }) => this.#inTurn(() => this.#replace(body)));
    rim.route('get', '/fleet/v1/service', { summary: 'services that came by contracts' }, () =>
      appendedContracts(source.read().compose).map((id) => ({ contractId: id, service: serviceName(id) })),
    );
    const append = {
      summary: 'append the service of a contract that migration has fetched',
      params: contractParams,
    };
    rim.route('post', '/fleet/v1/service/:contractId', append, ({ params }) =>
      this.#inTurn(() => this.#append(params.contractId)),
    );
    const remove = { summary: 'remove the service of a contract', params: contractParams };
    rim.route('delete', '/fleet/v1/service/:contractId', remove, ({ params }) =>
      this.#inTurn(() => this.#remove(params.contractId)),
    );
    const push = { summary: 'run `balena push` with what there is', status: 202 };
    // What is uploaded does not change meanwhile
    rim.route('post', '/fleet/v1/push', push, () => this.#inTurn(() => this.#begin()));
    rim.route('get', '/fleet/v1/push', { summary: 'the newest push' }, () => {
      const newest = this.#pushes.newest();
      if (newest === undefined) throw new AntirioError('notFound', 'nothing was pushed yet');
      return newest;
    });
  }

  #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #requireQuiet(): void {
    const newest = this.#pushes.newest();
    if (newest?.state === 'running')
      throw new AntirioError(
        'busy',
        `push ${newest.id} is going: what it uploads does not change meanwhile`,
        {
          id: newest.id,
        },
      );
  }

  #begin(): unknown {
    checkCompose(this.#source.read().compose);
    return this.#pushes.begin();
  }

  #replace({ compose, etag }: z.output<typeof composeBody>): unknown {
    this.#requireQuiet();
    if (etag !== undefined && this.#source.read().etag !== etag)
      throw new AntirioError('conflict', 'the compose file was changed meanwhile: read it again', { etag });
    return this.#source.write(compose);
  }

  async #append(id: string): Promise<unknown> {
    this.#requireQuiet();
    const { compose } = this.#source.read();
    const { archive, configuration } = await this.#fetched(id);
    const build = this.#source.contextOf(id);
    const { imageBytes, memoryBytes, cpus } = this.#options.limits;
    const { ports, volumes, depends_on: dependsOn } = configuration;
    const changed = appendService(compose, {
      ...{ contractId: id, build: `./${build}`, ports, volumes, dependsOn },
      ...{ memoryBytes, cpus },
    });
    await writeBuildContext(archive, join(this.#source.folder, build), imageBytes);
    return { service: serviceName(id), ...this.#source.write(changed) };
  }

  #remove(id: string): unknown {
    this.#requireQuiet();
    const { compose } = this.#source.read();
    if (!appendedContracts(compose).includes(id))
      throw new AntirioError('notFound', `no service came by contract ${id}`, { contractId: id });
    const written = this.#source.write(removeService(compose, id));
    this.#source.removeContext(id);
    return written;
  }

  /** Image and configuration that migration has fetched by content id and verified. */
  async #fetched(id: string): Promise<{
    readonly archive: string;
    readonly configuration: NonNullable<z.output<typeof fetched>['configuration']>;
  }> {
    const answer = await this.#migration.call({ path: `/migration/v1/fetch/${id}` });
    if (answer.status === 404)
      throw new AntirioError('notFound', `migration was not asked to fetch anything for contract ${id}`, {
        id,
      });
    if (answer.status !== 200)
      throw new AntirioError('unavailable', `migration answers ${answer.status}`, { id });
    const { archive, configuration } = fetched.parse(answer.json());
    if (archive === undefined || configuration === null)
      throw new AntirioError('busy', `the image of contract ${id} is not here whole yet`, { id });
    if (Object.keys(configuration.services).length > 0)
      throw new AntirioError('invalidInput', 'a contract of several images is not pushed to a fleet', { id });
    return { archive, configuration };
  }
}

/**
 * The back-end of a balena fleet (thesis, section 3.6.4): keeps the fleet's docker-compose.yml, appends the services of contracts to
 * it, each with an image that was fetched by content id, and runs `balena push`.
 */
export function createFleet(options: FleetOptions, ports: FleetPorts): Fleet {
  return new FleetRoom(options, ports);
}
