import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
/** Programs the tests use beyond npm's packages. `test/run.sh` installs them; `test/setup/tools.sh` names their packages. */
export const TOOLS = ['nginx', 'haproxy', 'wrk', 'h2load', 'openssl', 'curl'];
const leftOut = (process.env.SALLYPORT_TEST_WITHOUT ?? '').split(',');
/**
 * Options for a test that needs these tools: `test('...', needs('nginx'), () => ...)`.
 * Skips only what a developer left out by name in SALLYPORT_TEST_WITHOUT; a tool that is missing lets the test run and fail.
 */
export function needs(...tools) {
    const without = tools.filter((tool) => leftOut.includes(tool));
    return { skip: without.length > 0 ? `left out: ${without.join(', ')}` : false };
}
/** Where a tool lies, looked up in PATH and the folders of servers; throws a plain message when it is nowhere. */
export function toolPath(tool) {
    const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
    const path = folders.map((folder) => `${folder}/${tool}`).find((candidate) => existsSync(candidate));
    if (path === undefined)
        throw new Error(`${tool} is missing; \`npm test\` installs it where it may`);
    return path;
}
