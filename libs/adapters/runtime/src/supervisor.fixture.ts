import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type Docker from 'dockerode';
import { z } from 'zod';

/**
 * A balena supervisor on any engine: the calls that this library makes of it, in the shapes in which supervisor 19 answered them, and
 * with its refusals. Containers are real.
 */
export interface LocalSupervisor {
  readonly address: string;
  readonly apiKey: string;
  /** Services with an update lock. */
  readonly locked: Set<string>;
  /** Whether a service that is not to run gets a container all the same. */
  createsStopped: boolean;
  localMode: boolean;
  /** So many of the next requests are answered with 503. */
  failing: number;
  /** What it was given, the newest last. */
  readonly targets: readonly Target[];
  readonly refused: readonly string[];
  close(): Promise<void>;
}

const texts = z.record(z.string(), z.string());
/** Docker compose's names, as far as the services of tests use them. */
const serviceSchema = z.looseObject({
  serviceName: z.string(),
  serviceId: z.int(),
  imageId: z.int(),
  image: z.string(),
  running: z.boolean().default(true),
  labels: texts.default({}),
  environment: texts.default({}),
  // A folder of the host is refused: volumes have names
  volumes: z.array(z.string().regex(/^[^/:][^:]*:/)).default([]),
  user: z.string().default(''),
  tty: z.boolean().default(true),
  network_mode: z.string().default('default'),
  cap_drop: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  read_only: z.boolean().default(false),
  tmpfs: z.array(z.string()).default([]),
  mem_limit: z.string().default('0'),
  cpus: z.number().default(0),
  pids_limit: z.number().default(0),
  restart: z.string().default('always'),
});
const appSchema = z.looseObject({
  name: z.string(),
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.looseObject({ driver_opts: texts.default({}) })),
});
const targetSchema = z.object({
  local: z.object({
    name: z.string(),
    config: texts,
    apps: z.record(z.string().regex(/^\d+$/), appSchema),
  }),
});
type Service = z.output<typeof serviceSchema>;
type Target = z.output<typeof targetSchema>;

const KEY = '7b3ebbc9057a46729288f2013fd50038';
const CONFIG = {
  SUPERVISOR_LOCAL_MODE: 'true',
  SUPERVISOR_POLL_INTERVAL: '900000',
  SUPERVISOR_DELTA: 'false',
};
/** It owns containers of this device alone, whoever else uses the engine. */
const SUPERVISED = 'io.balena.supervised';

class Refusal extends Error {
  readonly status: number;
  readonly body: unknown;
  constructor(status: number, body: unknown) {
    super(String(status));
    this.status = status;
    this.body = body;
  }
}

const failed = (message: string): Refusal => new Refusal(400, { status: 'failed', message });

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString();
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function checkTarget(body: Record<string, unknown>): Target {
  const read = targetSchema.safeParse(body);
  if (!read.success) throw failed(`Invalid target state: ${z.prettifyError(read.error)}`);
  return read.data;
}

class Device {
  readonly docker: Docker;
  readonly unique = `sv${process.pid}-${Math.floor(Math.random() * 1e9)}`;
  /** Which image a name had when it was first used here: given again it is moved back to that. */
  readonly names = new Map<string, string>();
  target: Target = { local: { name: 'local', config: CONFIG, apps: {} } };
  createsStopped = true;

  constructor(docker: Docker) {
    this.docker = docker;
  }

  containers(service?: string): Promise<Docker.ContainerInfo[]> {
    const label = [`${SUPERVISED}=${this.unique}`];
    if (service !== undefined) label.push(`io.balena.service-name=${service}`);
    return this.docker.listContainers({ all: true, filters: { label } });
  }

  async imageOf(name: string): Promise<string> {
    const { Id: id } = await this.docker.getImage(name).inspect();
    const first = this.names.get(name) ?? id;
    this.names.set(name, first);
    return first;
  }

  wanted(): { readonly app: string; readonly service: Service }[] {
    return Object.entries(this.target.local.apps).flatMap(([app, { services }]) =>
      Object.values(services).map((service) => ({ app, service })),
    );
  }

  /** Makes what is missing, ends and removes what is not wanted; who has run and is not to run again is left as it is. */
  async apply(): Promise<void> {
    await this.removeUnwanted();
    await this.makeVolumes();
    for (const { app, service } of this.wanted()) {
      const isThere = (await this.containers(service.serviceName)).length > 0;
      if (isThere || !(service.running || this.createsStopped)) continue;
      const container = await this.create(app, service);
      if (service.running) await container.start();
    }
  }

  async removeUnwanted(): Promise<void> {
    const wanted = new Set(this.wanted().map(({ service }) => definitionOf(service)));
    for (const { Id: id, Labels: labels } of await this.containers())
      if (!wanted.has(labels['test.definition'] ?? ''))
        await this.docker.getContainer(id).remove({ force: true, v: true });
  }

  async makeVolumes(): Promise<void> {
    for (const [app, { volumes }] of Object.entries(this.target.local.apps))
      for (const [name, { driver_opts: options }] of Object.entries(volumes))
        await this.docker.createVolume({ Name: `${app}_${name}`, Driver: 'local', DriverOpts: options });
  }

  async create(app: string, service: Service): Promise<Docker.Container> {
    const environment = Object.entries({ ...service.environment, BALENA: '1', USER: 'root' });
    return this.docker.createContainer({
      name: `${service.serviceName}_${service.imageId}_1_${this.unique}`,
      Image: await this.imageOf(service.image),
      User: service.user,
      Tty: service.tty,
      Env: environment.map(([key, value]) => `${key}=${value}`),
      Labels: {
        ...service.labels,
        [SUPERVISED]: this.unique,
        'io.balena.service-name': service.serviceName,
        'test.definition': definitionOf(service),
      },
      HostConfig: {
        Binds: service.volumes.map((volume) => `${app}_${volume}`),
        NetworkMode: service.network_mode,
        CapDrop: service.cap_drop,
        SecurityOpt: service.security_opt,
        ReadonlyRootfs: service.read_only,
        Tmpfs: Object.fromEntries(service.tmpfs.map((path) => [path, ''])),
        Memory: Number(service.mem_limit),
        NanoCpus: service.cpus * 1e9,
        PidsLimit: service.pids_limit,
        RestartPolicy: { Name: service.restart },
      },
    });
  }

  async act(action: string, app: string, name: string): Promise<void> {
    const service = this.target.local.apps[app]?.services;
    if (service === undefined)
      throw new Refusal(404, 'App not found: an app needs to be installed for this endpoint to work.');
    const wanted = Object.values(service).find(({ serviceName }) => serviceName === name);
    if (wanted === undefined)
      throw new Refusal(404, 'Service not found, a container must exist for this endpoint to work.');
    const [there] = await this.containers(name);
    if (action === 'start') {
      const container =
        there === undefined ? await this.create(app, wanted) : this.docker.getContainer(there.Id);
      await container.start().catch(ifSoAlready);
    } else if (there !== undefined)
      // It answers before the container has ended
      void this.docker
        .getContainer(there.Id)
        .stop({ t: 1 })
        .catch(() => undefined);
  }

  async end(): Promise<void> {
    for (const { Id: id } of await this.containers())
      await this.docker.getContainer(id).remove({ force: true, v: true });
  }
}

function ifSoAlready(error: unknown): void {
  if ((error as { statusCode?: number }).statusCode !== 304) throw error;
}

/** Whether it runs is not part of what a container is made of. */
function definitionOf({ running: _, ...definition }: Service): string {
  return JSON.stringify(definition);
}

/** As it tells services: arrays, with names of its own for everything, which it does not take back. */
function told({ local }: Target): unknown {
  const apps: [string, unknown][] = Object.entries(local.apps).map(([id, { name, services }]) => [
    id,
    {
      appId: Number(id),
      appName: name,
      isTargetState: true,
      source: 'local',
      services: Object.values(services).map(({ serviceName, image, running, imageId }) => ({
        appId: Number(id),
        serviceName,
        imageId,
        imageName: image,
        config: { image, running, networkMode: 'none', tty: true },
      })),
    },
  ]);
  return { status: 'success', state: { local: { ...local, apps: Object.fromEntries(apps) } } };
}

export async function startLocalSupervisor(docker: Docker): Promise<LocalSupervisor> {
  const device = new Device(docker);
  const locked = new Set<string>();
  const targets: Target[] = [];
  const refused: string[] = [];
  const state = { createsStopped: true, localMode: true, failing: 0 };
  let work: Promise<unknown> = Promise.resolve();

  let waiting = 0;
  const inTurn = <T>(what: () => Promise<T>): Promise<T> => {
    waiting += 1;
    const done = work.then(what).finally(() => (waiting -= 1));
    work = done.catch(() => undefined);
    return done;
  };

  const admit = ({ headers }: IncomingMessage): void => {
    if (headers.authorization !== `Bearer ${KEY}`) throw new Refusal(401, 'Unauthorized');
    if (state.failing === 0) return;
    state.failing -= 1;
    throw new Refusal(503, { status: 'failed', message: 'the supervisor starts' });
  };
  const refuseLocked = ({ force }: Record<string, unknown>): void => {
    if (locked.size > 0 && force !== true)
      throw new Refusal(423, { status: 'failed', message: 'Updates are locked' });
  };
  const setTarget = (body: Record<string, unknown>): unknown => {
    if (!state.localMode) throw failed('Target state can only set when device is in local mode');
    const target = checkTarget(body);
    refuseLocked(body);
    targets.push(target);
    device.target = target;
    device.createsStopped = state.createsStopped;
    // It answers before it is so
    void inTurn(() => device.apply()).catch((error: unknown) => refused.push(String(error)));
    return { status: 'success', message: 'OK' };
  };
  const readTarget = (): unknown => {
    if (!state.localMode) throw failed('Target state can only be retrieved when in local mode');
    return told(device.target);
  };
  const status = (): unknown => {
    const appState = waiting === 0 ? 'applied' : 'applying';
    return { status: 'success', appState, containers: [], images: [] };
  };
  const calls: Readonly<Record<string, (body: Record<string, unknown>) => unknown>> = {
    'GET /v2/local/target-state': readTarget,
    'POST /v2/local/target-state': setTarget,
    'GET /v2/state/status': status,
  };
  const act = async (call: string, body: Record<string, unknown>): Promise<unknown> => {
    const [, app, action] = /^POST \/v2\/applications\/(\d+)\/(start|stop)-service$/.exec(call) ?? [];
    if (app === undefined || action === undefined) throw new Refusal(404, 'Not found');
    refuseLocked(body);
    await inTurn(() => device.act(action, app, String(body['serviceName'])));
    return 'OK';
  };
  const answer = async (request: IncomingMessage): Promise<unknown> => {
    admit(request);
    const call = [request.method, request.url].join(' ');
    const body = await bodyOf(request);
    return calls[call]?.(body) ?? act(call, body);
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, body } = await answer(request).then(
      (good) => ({ status: 200, body: good }),
      (error: unknown) => {
        if (!(error instanceof Refusal)) return { status: 500, body: String(error) };
        refused.push(`${error.status} ${JSON.stringify(error.body)}`);
        return error;
      },
    );
    response.writeHead(status, {
      'content-type': typeof body === 'string' ? 'text/plain' : 'application/json',
    });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const server: Server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(state, {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: KEY,
    ...{ locked, targets, refused },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await work;
      await device.end();
    },
  });
}
