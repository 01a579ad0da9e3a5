import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeIdentityFile, readIdentityFile, writeFileDurably } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { commonConfig, CONFIG_FILE, type ConfigFlags } from '../config.ts';
import { configTemplate } from '../config-template.ts';
import { sectionsOf } from '../config-sections.ts';
import { roomsOf } from '../loaders.ts';

/** Makes identity and configuration where they are not there yet. */
export async function init(flags: ConfigFlags): Promise<void> {
  const role = flags.role === undefined ? 'edge' : commonConfig.shape.role.parse(flags.role);
  const dataDir = resolve(flags.dataDir ?? 'antirio-data');
  const file = resolve(flags.config ?? join(dataDir, CONFIG_FILE));
  if (existsSync(file)) throw new AntirioError('conflict', `${file} is there already: it is not overwritten`);
  mkdirSync(dataDir, { recursive: true });
  const identityFile = join(dataDir, 'identity.json');
  const identity = existsSync(identityFile) ? readIdentityFile(identityFile) : makeIdentityFile(identityFile);
  const given = { dataDir, role, portOffset: flags.portOffset, bind: flags.bind };
  writeFileDurably(file, configTemplate(commonConfig, given, await sectionsOf(roomsOf(role))), 0o600);
  process.stdout.write(`edge       ${identity.edgeId}\nidentity   ${identityFile}\nconfig     ${file}\n`);
}
