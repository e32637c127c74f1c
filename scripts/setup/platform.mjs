// Where Parley runs. uWebSockets.js is a binary that wants a C library of a certain age, and which age depends on
// the Node version; saying so here is kinder than a loader error later.

import { SetupFailure, say } from './failure.mjs';

const node20 = { range: '20.19 or later within 20', glibc: '2.34' };
const modern = { range: '22.12 or later within 22, or 24', glibc: '2.38' };

function older(a, b) {
  const [major, minor] = a.split('.').map(Number);
  const [wantedMajor, wantedMinor] = b.split('.').map(Number);
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}

/**
 * Judges a platform: `{}` when it works, `{warning}` when it should but nobody tried, `{problem, remedy}` when it
 * cannot. `glibc` is undefined where the C library is another one.
 */
export function judgePlatform({ platform, arch, node, glibc }) {
  const major = Number(node.split('.')[0]);
  const supported =
    (major === 20 && !older(node, '20.19')) || (major === 22 && !older(node, '22.12')) || major === 24;
  if (platform === 'win32') {
    return {
      problem: 'Windows is not supported',
      remedy: 'run it inside WSL 2, with Node 24 on Ubuntu 24.04',
    };
  }
  if (!['linux', 'darwin'].includes(platform) || !['x64', 'arm64'].includes(arch)) {
    return {
      problem: `no build of uWebSockets.js exists for ${platform} on ${arch}`,
      remedy: 'use Linux on x64',
    };
  }
  if (platform === 'linux' && glibc === undefined) {
    return {
      problem:
        'this Linux has another C library than glibc (musl, as in Alpine), for which uWebSockets.js has no build',
      remedy: 'use Debian 12 with Node 20, or Debian 13 or Ubuntu 24.04 with Node 24',
    };
  }
  const modernFits = platform === 'darwin' || !older(glibc, modern.glibc);
  const install = modernFits ? `Node 24 (or ${node20.range})` : `Node ${node20.range}`;
  if (platform === 'linux' && older(glibc, node20.glibc)) {
    return {
      problem: `glibc here is ${glibc}; uWebSockets.js needs ${node20.glibc} or later`,
      remedy: 'use a newer system: Debian 12 with Node 20, or Debian 13 or Ubuntu 24.04 with Node 24',
    };
  }
  if (!supported) return { problem: `Node ${node} is not supported`, remedy: `install ${install}` };
  if (major !== 20 && !modernFits) {
    return {
      problem: `uWebSockets.js for Node ${major} needs glibc ${modern.glibc} or later, and here it is ${glibc}`,
      remedy: `install Node ${node20.range}, or use Debian 13 or Ubuntu 24.04`,
    };
  }
  if (platform === 'darwin' || arch === 'arm64') {
    return { warning: `${platform} on ${arch} is untested; it should work` };
  }
  return {};
}

/** Throws a SetupFailure where Parley cannot run. */
export function checkPlatform() {
  process.report.excludeNetwork = true; // a report must not wait for name servers
  const { problem, remedy, warning } = judgePlatform({
    platform: process.platform,
    arch: process.arch,
    node: process.versions.node,
    glibc: process.report.getReport().header.glibcVersionRuntime,
  });
  if (problem) throw new SetupFailure('platform', problem, remedy);
  if (warning) say(`warning: ${warning}`);
}
