import { isMap, parseDocument, type Document } from 'yaml';
import { AntirioError } from '@antirio/kernel';

/** What a contract's service gets in the fleet's docker-compose.yml. */
export interface AppendedService {
  readonly contractId: string;
  /** Folder of its build context, from the compose file's. */
  readonly build: string;
  /** As in configuration.json: `1880`, `8080:80/tcp`, with commas between. */
  readonly ports: string;
  /** As in configuration.json: `name:/path`, with commas between. */
  readonly volumes: string;
  readonly dependsOn: readonly string[];
  readonly memoryBytes: number;
  readonly cpus: number;
}

/** A service, as far as its compose file has been read. */
type Found = Readonly<Record<string, unknown>>;

const MAX_BYTES = 1 << 20;
const MAX_ALIASES = 100;
/** What balena's parser refuses in a service (docker-compose fields that it has no meaning for). */
const REFUSED_IN_SERVICES = [
  ...['logging', 'deploy', 'secrets', 'configs', 'oom_kill_disable', 'platform', 'runtime'],
];
const REFUSED_AT_TOP = ['secrets', 'configs'];
/** The host's folders that balena mounts for labels; every other one is refused. */
const SOCKETS = ['/var/run/docker.sock', '/run/docker.sock', '/var/run/balena-engine.sock'];

const prefixOf = (contractId: string): string => `antirio-${contractId}`;

const refused = (message: string, at: string): AntirioError =>
  new AntirioError('invalidInput', `docker-compose.yml: ${at}: ${message}`, { at });

/** @throws AntirioError invalidInput naming the place */
function parse(text: string): Document {
  if (Buffer.byteLength(text) > MAX_BYTES)
    throw new AntirioError('tooLarge', `docker-compose.yml has over ${MAX_BYTES} bytes`);
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined)
    throw refused(error.message.split('\n')[0] ?? '', `line ${error.linePos?.[0].line ?? 0}`);
  if (!isMap(document.contents) || !isMap(document.get('services')))
    throw refused('there must be services, by their names', 'services');
  return document;
}

function isRecord(value: unknown): value is Found {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkVolume(volume: unknown, at: string): void {
  const source =
    typeof volume === 'string' ? (volume.split(':')[0] ?? '') : isRecord(volume) ? volume['source'] : '';
  const isFolder = typeof source === 'string' && /^[./~]/.test(source) && String(volume).includes(':');
  const isBind = isRecord(volume) && volume['type'] === 'bind';
  if ((isFolder || isBind) && !SOCKETS.includes(String(source)))
    throw refused('balena mounts no folder of the host, only named volumes', at);
}

function checkService(name: string, service: unknown): void {
  const at = `services.${name}`;
  if (!isRecord(service)) throw refused('must be a service', at);
  for (const field of REFUSED_IN_SERVICES)
    if (field in service) throw refused('balena refuses this field', `${at}.${field}`);
  if (isRecord(service['depends_on'])) {
    const conditions = Object.values(service['depends_on']).map((one) => isRecord(one) && one['condition']);
    if (conditions.some((condition) => condition !== 'service_started'))
      throw refused('balena knows no condition but service_started', `${at}.depends_on`);
  }
  const build = service['build'];
  if (isRecord(build) && 'platforms' in build)
    throw refused('balena refuses this field', `${at}.build.platforms`);
  const volumes = service['volumes'];
  for (const [index, volume] of (Array.isArray(volumes) ? volumes : []).entries())
    checkVolume(volume, `${at}.volumes[${index}]`);
}

/**
 * What balena takes of Docker compose: a compose file that another tool accepts may be refused after minutes of upload.
 *
 * @throws AntirioError invalidInput naming the place and what is wrong there
 */
export function checkCompose(text: string): void {
  const found = parse(text).toJS({ maxAliasCount: MAX_ALIASES }) as Found;
  for (const field of REFUSED_AT_TOP) if (field in found) throw refused('balena refuses this field', field);
  for (const [name, service] of Object.entries(found['services'] as Found)) checkService(name, service);
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

interface NamedVolume {
  readonly name: string;
  readonly mount: string;
}

/** Named volumes of the contract's own: what another service of the fleet calls the same is another's. */
function volumesOf({ contractId, volumes }: AppendedService): NamedVolume[] {
  return listOf(volumes).map((volume) => {
    const [name = '', path = '', mode] = volume.split(':');
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name) || !path.startsWith('/'))
      throw new AntirioError('invalidInput', `configuration.json: volumes: ${volume} is no name:/path`, {
        volume,
      });
    const own = `${prefixOf(contractId)}-${name}`;
    return { name: own, mount: [own, path, ...(mode === undefined ? [] : [mode])].join(':') };
  });
}

function definitionOf(service: AppendedService, others: readonly string[]): Found {
  const ports = listOf(service.ports);
  const volumes = volumesOf(service);
  const dependsOn = service.dependsOn.filter((name) => others.includes(name));
  return {
    build: service.build,
    restart: 'always',
    networks: [prefixOf(service.contractId)],
    ...(ports.length === 0 ? {} : { ports }),
    ...(volumes.length === 0 ? {} : { volumes: volumes.map(({ mount }) => mount) }),
    ...(dependsOn.length === 0 ? {} : { depends_on: dependsOn }),
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges'],
    read_only: true,
    tmpfs: ['/tmp'],
    mem_limit: String(service.memoryBytes),
    cpus: service.cpus,
    labels: { 'antirio.contract': service.contractId },
  };
}

/** The name of a contract's service in the fleet's compose file. */
export function serviceName(contractId: string): string {
  return prefixOf(contractId);
}

/** Names of services in the file that came by contracts. */
export function appendedContracts(text: string): string[] {
  const { services } = parse(text).toJS({ maxAliasCount: MAX_ALIASES }) as { services: Found };
  return Object.values(services).flatMap((service) => {
    const labels = isRecord(service) ? service['labels'] : undefined;
    const contract = isRecord(labels) ? labels['antirio.contract'] : undefined;
    return typeof contract === 'string' ? [contract] : [];
  });
}

/**
 * Appends a contract's service, or replaces it; everything else, comments included, stays as it was written. It gets a network and
 * volumes of its own, no capability and no privilege.
 *
 * @throws AntirioError invalidInput | conflict where the fleet has a service of that name by itself
 */
export function appendService(text: string, service: AppendedService): string {
  const document = parse(text);
  const name = serviceName(service.contractId);
  const { services } = document.toJS({ maxAliasCount: MAX_ALIASES }) as { services: Found };
  if (name in services && !appendedContracts(text).includes(service.contractId))
    throw new AntirioError('conflict', `the fleet has a service ${name} of its own`, { name });
  const without = parse(removeService(text, service.contractId));
  without.setIn(['services', name], without.createNode(definitionOf(service, Object.keys(services))));
  without.setIn(['networks', name], without.createNode({}));
  for (const volume of volumesOf(service)) without.setIn(['volumes', volume.name], without.createNode({}));
  const appended = without.toString({ lineWidth: 0 });
  checkCompose(appended);
  return appended;
}

/** The volumes that a service of a contract has by its own definition: another contract's id may begin as this one's. */
function volumesListed(service: unknown): string[] {
  const volumes = isRecord(service) ? service['volumes'] : undefined;
  return (Array.isArray(volumes) ? volumes : []).map((volume) => String(volume).split(':')[0] ?? '');
}

/** Removes a contract's service with its network and volumes; the same text where there is none. */
export function removeService(text: string, contractId: string): string {
  if (!appendedContracts(text).includes(contractId)) return text;
  const document = parse(text);
  const name = serviceName(contractId);
  const { services } = document.toJS({ maxAliasCount: MAX_ALIASES }) as { services: Found };
  const own = [name, ...volumesListed(services[name])];
  document.deleteIn(['services', name]);
  for (const section of ['networks', 'volumes']) {
    const node = document.get(section);
    if (!isMap(node)) continue;
    for (const key of own) node.delete(key);
    if (node.items.length === 0) document.delete(section);
  }
  return document.toString({ lineWidth: 0 });
}
