@echo off
call "%~dp0launch.bat" notebook %*
exit /b %ERRORLEVEL%
