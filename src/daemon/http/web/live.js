"use strict";
// Asks for the page again now and then, and puts what it says in the place of what is shown. Without this script the pages
// say the same, when they are loaded anew.
{
  const main = document.getElementById("main");
  const seconds = Number(main.dataset.live);
  const again = async () => {
    const isRead = main.contains(document.activeElement) || String(getSelection()) !== "";
    if (document.hidden || isRead) return;
    const answer = await fetch(location.href, { headers: { "Amiwall-Live": "1" }, redirect: "error" });
    if (answer.status === 401) {
      location.assign("/login");
      return;
    }
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    main.replaceChildren(...page.getElementById("main").childNodes);
    main.classList.remove("stale");
  };
  if (seconds > 0) setInterval(() => again().catch(() => main.classList.add("stale")), seconds * 1000);
}
