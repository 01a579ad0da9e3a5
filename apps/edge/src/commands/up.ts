import { rmSync } from 'node:fs';
import { createLog, runAlone, systemClock, writeFileDurably } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import type { EdgeConfig } from '../config.ts';
import { createEdgeHost, type EdgeHost } from '../edge-host.ts';
import type { RunnableRoom } from '../loaders.ts';
import { clockFault, openDataFolder } from '../preflight.ts';

export interface UpOutput {
  readonly json?: boolean | undefined;
}

function readyText(host: EdgeHost, config: EdgeConfig, startMs: number): string {
  const urls = Object.entries(host.urls).map(([name, url]) => `${name} ${url}`);
  return `antirio ${config.role} ${host.identity.edgeId} ready in ${startMs} ms: ${urls.join(', ')}`;
}

function readyJson(host: EdgeHost, config: EdgeConfig, startMs: number): string {
  const { role, dataDir, portOffset } = config;
  const { edgeId } = host.identity;
  return JSON.stringify({
    ready: true,
    edgeId,
    role,
    pid: process.pid,
    dataDir,
    portOffset,
    startMs,
    urls: host.urls,
  });
}

/** The host, which takes its ready file away before it stops. */
function announced(host: EdgeHost, readyFile: string | undefined): EdgeHost {
  if (readyFile === undefined) return host;
  return {
    ...host,
    async stop() {
      rmSync(readyFile, { force: true });
      await host.stop();
    },
  };
}

/** Runs these rooms until a signal ends them. */
export async function up(
  config: EdgeConfig,
  rooms: readonly RunnableRoom[],
  output: UpOutput,
): Promise<void> {
  const log = createLog('antirio', config.logLevel);
  let host: EdgeHost | undefined;
  const build = async (): Promise<EdgeHost> => {
    openDataFolder(config.dataDir);
    const wrong = clockFault(systemClock.now());
    if (wrong !== undefined) log.warn(wrong);
    if (config.readyFile !== undefined) rmSync(config.readyFile, { force: true });
    host = announced(await createEdgeHost(config, rooms), config.readyFile);
    return host;
  };
  await runAlone(log, build, (error) => process.stderr.write(`antirio: ${describeError(error)}\n`));
  if (host === undefined) return;
  // Since the process began, loading included.
  const startMs = Math.round(process.uptime() * 1000);
  if (config.readyFile !== undefined) writeFileDurably(config.readyFile, readyJson(host, config, startMs));
  const ready = output.json === true ? readyJson : readyText;
  process.stdout.write(`${ready(host, config, startMs)}\n`);
}
