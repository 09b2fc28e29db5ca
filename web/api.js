// Calls to the server that gave this page, and to no other.

let token = sessionStorage.getItem("token") ?? "";

export const getToken = () => token;
export function setToken(text) {
  token = text;
  sessionStorage.setItem("token", text);
}

// status: of HTTP, 0 if there was no answer. retryAfter: seconds. The message is the server's own sentence.
export class ApiError extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function call(url, options, limit, given = token) {
  let response;
  try {
    response = await fetch(url, {...options, cache: "no-store", signal: AbortSignal.timeout(limit),
      headers: {Accept: "application/json", ...options.headers, ...(given ? {Authorization: `Bearer ${given}`} : {})}});
  } catch {
    throw new ApiError(0, "The server does not answer.");
  }
  if (response.ok) return response.json();
  let detail = response.statusText;
  try {
    const problem = await response.json();
    detail = problem.detail ?? problem.title ?? detail;
  } catch { /* no problem document: the status says what there is to say */ }
  const after = Number(response.headers.get("Retry-After"));
  throw new ApiError(response.status, detail, after > 0 ? after : null);
}

// The answer: {as_of, stale, rows, next}.
export function get(path, parameters = {}, limit = 15000) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return call(url, {}, limit);
}

// given: another token than the page's.
export const post = (path, body, {limit = 15000, given = token} = {}) => call(new URL(path, location.origin),
  {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)}, limit, given);

export const streamUrl = () => {
  const url = new URL("/api/v1/stream", location.origin);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (token) url.searchParams.set("token", token);
  return url;
};
