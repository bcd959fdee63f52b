// Fill the list of versions. versions.js beside the versions' folders sets DOCS_VERSIONS, and knows newer ones than this.
(() => {
  const box = document.querySelector(".site-versions");
  const known = window.DOCS_VERSIONS;
  if (!box || !known) return;
  const { version, page, root } = box.dataset;
  const select = box.querySelector("select");
  select.replaceChildren(
    ...known.versions.map(({ name }) => {
      const label = name === known.stable ? `${name} (stable)` : name;
      return new Option(label, name, name === version, name === version);
    }),
  );
  const addressFor = (name) => {
    const other = known.versions.find((each) => each.name === name);
    return `${root}${name}/${other.pages.includes(page) ? page : "index.html"}`;
  };
  select.addEventListener("change", () => window.location.assign(addressFor(select.value)));
  if (!known.stable || version === known.stable) return;
  const findPosition = (name) => known.versions.findIndex((each) => each.name === name);
  const isOlder = findPosition(version) > findPosition(known.stable);
  const notice = document.createElement("p");
  notice.className = "site-notice";
  const link = document.createElement("a");
  link.href = addressFor(known.stable);
  link.textContent = `version ${known.stable}`;
  notice.append(
    isOlder
      ? "This is the documentation of an older version. The newest release is "
      : "This version isn't released yet. The newest release is ",
    link,
    ".",
  );
  document.addEventListener("DOMContentLoaded", () => document.querySelector("article")?.prepend(notice));
})();
