// Animations can be stopped, and stand still from the start for those who asked their system for less motion.
"use strict";

for (const figure of document.querySelectorAll(".pictures figure")) {
  const image = figure.querySelector("img");
  const still = document.createElement("canvas");
  still.setAttribute("role", "img");
  still.setAttribute("aria-label", image.alt);
  still.hidden = true;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Pause" });
  button.setAttribute("aria-label", `Pause: ${image.alt}`);
  image.after(still);
  figure.append(button);

  const pause = (paused) => {
    if (paused) {
      [still.width, still.height] = [image.naturalWidth, image.naturalHeight];
      still.getContext("2d").drawImage(image, 0, 0);
    }
    image.hidden = paused;
    still.hidden = !paused;
    button.textContent = paused ? "Play" : "Pause";
    button.setAttribute("aria-label", `${button.textContent}: ${image.alt}`);
  };
  button.addEventListener("click", () => pause(!image.hidden));
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) image.decode().then(() => pause(true));
}
