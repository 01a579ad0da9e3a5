import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setDefaultCACertificates, getCACertificates } from 'node:tls';
import { showToken, type PartyName } from '@antirio/demo/scenes';
import { addToken } from '@antirio/host';
import { createAuthority, type Authority } from '@antirio/testing/certificates';
import { originsOf, labFolder, type LabState } from './lab-state.ts';

/** What each service of an edge asks of which others: its token lets it do that, and nothing else. */
export const SCOPES = {
  broker: ['broker:read'],
  'core-keeper': ['broker:write', 'core-keeper:read'],
  'core-metadata': ['broker:write', 'core-keeper:write'],
  'core-data': ['broker:write', 'core-keeper:write', 'core-metadata:read'],
  // it passes commands on to whoever has the device: here, and at a neighbour's orchestrator
  'core-command': [
    ...['broker:write', 'core-keeper:write', 'core-metadata:read'],
    ...['device-lora:write', 'orchestrator:write'],
  ],
  'filecoin-interface': ['broker:write', 'orchestrator:write', 'edge2edge:write', 'filecoin-interface:write'],
  // the door: it asks for other edges, and asks the room itself whether that edge may
  edge2edge: ['*:write', 'relay'],
  'gateway-bridge': ['broker:write', 'edge2edge:write', 'gateway-bridge:write'],
  migration: ['broker:write', 'edge2edge:write', 'filecoin-interface:write', 'orchestrator:write'],
  orchestrator: [
    ...['broker:write', 'core-data:write', 'core-metadata:write', 'core-keeper:read', 'arbitrator:write'],
    ...['dmu:write', 'edge2edge:write', 'filecoin-interface:write', 'migration:write', 'orchestrator:write'],
  ],
  marketplace: ['broker:write', 'edge2edge:write', 'ledger:write', 'marketplace:write'],
  dmu: [
    ...['broker:write', 'edge2edge:write', 'ledger:write', 'gateway-bridge:write', 'arbitrator:write'],
    ...['filecoin-interface:write', 'device-lora:write', 'marketplace:write', 'dmu:write'],
  ],
  arbitrator: [
    ...['broker:write', 'edge2edge:write', 'ledger:write', 'arbitrator:write', 'gateway-bridge:write'],
    ...['core-data:write', 'device-lora:write', 'dmu:write', 'migration:write', 'orchestrator:write'],
  ],
  'device-lora': [
    ...['broker:write', 'core-keeper:write', 'core-metadata:write', 'core-data:write'],
    ...['gateway-bridge:write', 'arbitrator:write'],
  ],
} as const satisfies Readonly<Record<string, readonly [string, ...string[]]>>;

/** Files of one volume, by their names; in no other place than there, but for what the lab's own user is given. */
export interface VolumeFiles {
  /** As docker/lab's files name it. */
  readonly volume: string;
  readonly files: Readonly<Record<string, string>>;
}

/** For docker/lab/mosquitto-tls.yml. */
const MOSQUITTO_CONF = `listener 1883
allow_anonymous true
certfile /tls/cert.pem
keyfile /tls/key.pem
`;

const caFile = (project: string): string => join(labFolder(project), 'ca.pem');
const tokenFile = (project: string, party: PartyName): string =>
  join(labFolder(project), `operator-${party}.token`);

function makeToken(tokens: string, name: string, scopes: readonly string[]): string {
  return `${addToken(tokens, { name, scopes }, Date.now()).token}\n`;
}

function pairOf(authority: Authority, name: string): Readonly<Record<string, string>> {
  // by their names within an edge; by loopback from the machine that the lab runs on
  const { cert, key } = authority.issue([name, 'localhost', '127.0.0.1']);
  return { 'cert.pem': cert, 'key.pem': key, 'ca.pem': authority.cert };
}

/**
 * Makes the lab's certificates and tokens: the hashes of the tokens go to the parties' folders, an operator's tokens and the authority's
 * certificate to the lab's, for whoever works with it. The authority's key is kept nowhere.
 */
export function makeSecrets({ project, overrides }: LabState): VolumeFiles[] {
  const authority = createAuthority(`${project} ${new Date().toISOString()}`);
  writeFileSync(caFile(project), authority.cert);
  const volumes: VolumeFiles[] = [];
  for (const party of ['central', 'a', 'b'] as const) {
    const access = join(labFolder(project), party, 'access');
    mkdirSync(access, { recursive: true, mode: 0o700 });
    const tokens = join(access, 'tokens.json');
    const operator = makeToken(tokens, 'the operator', ['operator']);
    writeFileSync(tokenFile(project, party), operator, { mode: 0o600 });
    if (party === 'central') {
      volumes.push({ volume: 'tls-central', files: pairOf(authority, 'central') });
      continue;
    }
    for (const [service, scopes] of Object.entries(SCOPES)) {
      const token = makeToken(tokens, service, scopes);
      const files = { ...pairOf(authority, service), token };
      volumes.push({ volume: `tls-${party}-${service}`, files });
    }
  }
  const foreign = { volume: 'tls-a-broker', files: { 'mosquitto.conf': MOSQUITTO_CONF } };
  return overrides.includes('mosquitto') ? [...volumes, foreign] : volumes;
}

/** What the lab's user shows a party's services; empty where nobody asks. */
export function operatorToken({ project, overrides }: LabState, party: PartyName): string {
  return overrides.includes('tls') ? readFileSync(tokenFile(project, party), 'utf8').trim() : '';
}

/** From now on this process trusts the lab, and shows its services the operator's tokens; nothing to do where the lab has none. */
export function beOperator(state: LabState): void {
  if (!state.overrides.includes('tls')) return;
  const ca = readFileSync(caFile(state.project), 'utf8');
  setDefaultCACertificates([...getCACertificates('default'), ca]);
  for (const party of ['central', 'a', 'b'] as const) {
    for (const origin of originsOf(state, party)) showToken(origin, operatorToken(state, party));
  }
}

/** How an operator asks a lab with TLS, for a reader. */
export function wayOfAsking({ project, overrides }: LabState): string[] {
  if (!overrides.includes('tls')) return [];
  const [ca, token] = [caFile(project), tokenFile(project, 'a')];
  // by its stdin: every user of the machine sees what stands on a command line
  return [
    `  sed 's/^/Authorization: Bearer /' ${token} | curl --cacert ${ca} -H @- ...  (edge B: operator-b.token)`,
  ];
}
