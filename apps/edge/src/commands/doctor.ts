import { systemClock } from '@antirio/host';
import { describeError, type Clock } from '@antirio/kernel';
import { shifted, type EdgeConfig } from '../config.ts';
import { checkEngine } from '../doctor/engine-check.ts';
import { problem, type Finding } from '../doctor/finding.ts';
import { checkFolder } from '../doctor/folder-checks.ts';
import { checkHost } from '../doctor/host-checks.ts';
import {
  checkBroker,
  checkRadio,
  checkReach,
  checkSignature,
  neighboursOf,
} from '../doctor/network-checks.ts';
import { checkNetworkServer } from '../doctor/network-server-check.ts';
import { askState, checkRooms } from '../doctor/port-checks.ts';
import { roomOf, type Room } from '../rooms.ts';
import { textTable } from '../text-table.ts';
import { print } from './ask-room.ts';

/** Looks at all that an edge needs, whether it is up or down; changes nothing. */
export async function examine(
  config: EdgeConfig,
  rooms: readonly Room[],
  clock: Clock = systemClock,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Finding[]> {
  const folder = checkFolder(config.dataDir, config.identityFile, clock);
  const [host, states] = await Promise.all([
    checkHost(clock, folder.newestMs),
    Promise.all(rooms.map((room) => askState(room, config))),
  ]);
  const answers = (key: Room['key']): boolean =>
    states.some(({ room, serviceName }) => room.key === key && serviceName !== undefined);
  const neighbours = neighboursOf(config);
  const udpPort = shifted(roomOf('gatewayBridge'), config, 'udp.port');
  const isEdge = config.role === 'edge';
  const looks: Promise<Finding[]>[] = [
    checkRooms(config, states),
    ...(isEdge ? [checkEngine(config.orchestrator['runtime'], env)] : []),
    ...(answers('broker') || config.services.broker !== undefined ? [checkBroker(config)] : []),
    ...(answers('gatewayBridge') ? [checkRadio(config, udpPort)] : []),
    ...(answers('deviceLora') ? [checkNetworkServer(config)] : []),
    ...neighbours.map((one) => checkReach(one, clock)),
    ...(answers('edge2edge') ? neighbours.map((one) => checkSignature(one, config)) : []),
  ];
  const network = await Promise.all(looks);
  return [...host, ...folder.findings, ...network.flat()];
}

const MARK = { ok: 'ok', warning: 'WARNING', problem: 'PROBLEM' } as const;

function tell(findings: readonly Finding[], json: boolean): number {
  const problems = findings.filter(({ level }) => level === 'problem').length;
  const warnings = findings.filter(({ level }) => level === 'warning').length;
  if (json) print(JSON.stringify({ ok: problems === 0, problems, warnings, findings }));
  else {
    print(textTable(findings.map(({ check, level, says }) => [check, MARK[level], says])));
    print(
      problems === 0 ? `no problems, ${warnings} warnings` : `${problems} problems, ${warnings} warnings`,
    );
  }
  return problems === 0 ? 0 : 1;
}

/**
 * `antirio doctor`: 0 where nothing is a problem, else 1.
 * @param read gives the configuration; one that cannot be read is a finding, too
 */
export async function doctor(
  read: () => EdgeConfig,
  roomsOf: (role: EdgeConfig['role']) => readonly Room[],
  json: boolean,
): Promise<number> {
  let config: EdgeConfig;
  try {
    config = read();
  } catch (error) {
    return tell([problem('configuration', describeError(error))], json);
  }
  return tell(await examine(config, roomsOf(config.role)), json);
}
