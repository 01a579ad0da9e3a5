import { runInNewContext } from 'node:vm';
import { AntirioError } from '@antirio/kernel';
import type { DeviceProfile } from '@antirio/edgex-contracts';

/**
 * For all patterns of a device together: they are the caller's, and some never end. The second time is for a machine that was busy with
 * something else during the first.
 */
const MATCH_MS = [250, 1000];

/** The first pattern that is none, or that is the whole of no name. */
const SCRIPT = `
  let wrong = [];
  for (const pattern of patterns) {
    let whole;
    try { whole = new RegExp('^(?:' + pattern + ')$'); } catch { wrong = ['none', pattern]; break; }
    if (!names.some((name) => whole.test(name))) { wrong = ['absent', pattern]; break; }
  }
  wrong`;

/** Why, and which; nothing when all patterns match. */
function wrongPattern(names: readonly string[], patterns: readonly string[]): readonly string[] {
  for (const timeout of MATCH_MS)
    try {
      return [...(runInNewContext(SCRIPT, { names, patterns }, { timeout }) as string[])];
    } catch {
      // too slow
    }
  return ['none', patterns.join(' or ').slice(0, 200)];
}

/**
 * Each source of an auto event is a command or a resource of the profile, or a pattern of resources' whole names.
 * @throws AntirioError invalidInput
 */
export function checkSources(profile: DeviceProfile, sources: readonly string[]): void {
  const names = (profile.deviceResources ?? []).map(({ name }) => name);
  const known = new Set([...names, ...(profile.deviceCommands ?? []).map(({ name }) => name)]);
  const others = [...new Set(sources)].filter((source) => !known.has(source));
  if (others.length === 0) return;
  const plain = others.find((source) => !/[^\w-]/.test(source));
  const [why, source] = plain === undefined ? wrongPattern(names, others) : ['absent', plain];
  if (why === undefined) return;
  throw new AntirioError(
    'invalidInput',
    why === 'none'
      ? `failed to CompilePOSIX the auto event source name: ${source}`
      : `auto event source '${source}' cannot be found in the device profile '${profile.name}'`,
  );
}
