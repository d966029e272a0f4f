@echo off
rem Finds a Python, runs launch.py with it, and waits, so that the output of a double click stays visible.
setlocal
cd /d "%~dp0.."
set "PY="
for %%P in ("py -3.12" "py -3.13" "py -3.11" "python3.12" "py -3" "python" "python3") do (
  if not defined PY ( %%~P -c "" >nul 2>nul && set "PY=%%~P" )
)
if not defined PY (
  echo No Python found. Install Python 3.12 from https://www.python.org/downloads/ and double-click again.
  pause
  exit /b 1
)
%PY% scripts\launch.py %*
set "STATUS=%ERRORLEVEL%"
echo.
pause
exit /b %STATUS%
